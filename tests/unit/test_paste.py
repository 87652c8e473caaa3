"""Waste that is cut out of one picture and laid into another."""

from dataclasses import replace

import numpy as np
import pytest

from training.dataset import WASTE_STATES, Sample
from training.paste import CONTAINER, WASTE, cut_outs, paste


def sample(boxes, labels, pixels, states=None):
    return Sample(
        None,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(states if states is not None else [-1] * len(labels), np.int64),
        np.array([True, True]),
        np.zeros(1, np.float32),
        "drawn",
        pixels=pixels,
    )


@pytest.fixture(scope="module")
def piece():
    rng = np.random.default_rng(0)
    ground = np.full((200, 240, 3), 120, np.uint8) + rng.integers(0, 9, (200, 240, 3), np.uint8)
    y, x = np.mgrid[:200, :240]
    ground[((x - 120) / 40) ** 2 + ((y - 100) / 30) ** 2 < 1] = (20, 60, 200)
    whole = sample([[80, 70, 161, 131], [0, 10, 40, 60]], [WASTE, WASTE], ground)
    (only,) = cut_outs([whole, replace(whole, loose=True)])  # the second touches the border
    return only


def test_a_bag_is_cut_along_its_outline(piece):
    coverage = piece[..., 3] > 127
    assert coverage.mean() == pytest.approx(np.pi / 4, abs=0.1)
    assert not coverage[0, 0]
    assert (piece[coverage][:, 2] > 150).mean() > 0.9


def test_what_is_laid_beside_a_container_makes_it_dirty(piece):
    street = np.full((400, 600, 3), 128, np.uint8)
    clean = sample([[200, 150, 320, 300]], [CONTAINER], street, [0])
    made = [paste(clean, [piece], np.random.default_rng(seed)) for seed in range(40)]
    litter = WASTE_STATES.index("minor_litter")
    for one in made:
        new = one.boxes[1:]
        assert (one.labels[1:] == WASTE).all()
        assert len(one.states) == len(one.labels)
        changed = (one.pixels != 128).any(2)
        for x1, y1, x2, y2 in new.astype(int):
            changed[y1:y2, x1:x2] = False
            assert y2 > 270  # it stands on the ground near the container's foot
        assert not changed.any()
        assert (one.facts[0] > 0) == (one.states[0] > litter)
        if one.states[0] == litter:
            assert (new[:, 3] - new[:, 1]).max() < 0.2 * 150
    assert {int(one.states[0]) for one in made} == {litter, WASTE_STATES.index("side_waste")}
    assert (street == 128).all()


def test_an_overflow_stays_one(piece):
    full = sample([[200, 150, 320, 300]], [CONTAINER], np.full((400, 600, 3), 99, np.uint8), [3])
    assert paste(full, [piece], np.random.default_rng(1)).states[0] == 3


def test_nothing_is_laid_where_waste_is_not_labelled_or_nothing_stands(piece):
    pixels = np.full((400, 600, 3), 128, np.uint8)
    bare = sample([], [], pixels)
    unknown = replace(
        sample([[200, 150, 320, 300]], [CONTAINER], pixels), exhaustive=np.array([True, False])
    )
    for one in (bare, unknown):
        assert paste(one, [piece], np.random.default_rng(0)) is one

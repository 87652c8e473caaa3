"""Scenes of recycling centres and of containers from above: what lies where."""

import numpy as np
import pytest

from training.scenes import container_park, recycling_centre

SIZE_HW = (300, 400)


def objects(scene, label):
    return [
        (box, state)
        for box, state, one in zip(scene.boxes, scene.states, scene.labels, strict=True)
        if one == label
    ]


@pytest.mark.parametrize("seed", range(6))
def test_waste_of_a_skip_that_overflows_reaches_over_its_rim(seed):
    scene = recycling_centre(np.random.default_rng((1, seed)), SIZE_HW)
    over = [box for box, state in objects(scene, "container") if state == "overflow"]
    heaps = [box for box, _ in objects(scene, "waste")]
    for x1, y1, x2, _ in over:
        above = [h for h in heaps if h[1] < y1 + 3 and h[0] < x2 and h[2] > x1]
        assert above, "no heap over the rim"


def test_skips_are_open_and_as_often_as_not_heaped():
    states = [
        state
        for seed in range(12)
        for _, state in objects(recycling_centre(np.random.default_rng(seed), SIZE_HW), "container")
    ]
    assert {"clean", "overflow"} <= set(states)


@pytest.mark.parametrize("seed", range(8))
def test_a_park_from_above_is_dirty_where_waste_is_to_be_seen(seed):
    scene = container_park(np.random.default_rng((2, seed)), SIZE_HW)
    assert scene.dirty == ("waste" in scene.labels)
    assert scene.height_m.shape == SIZE_HW
    for label, state in zip(scene.labels, scene.states, strict=True):
        assert (state is not None) == (label == "container")


def test_a_container_from_above_keeps_its_size_on_the_ground():
    sides = []
    for gsd_m in (0.02, 0.04):
        scene = container_park(np.random.default_rng(5), (600, 600), gsd_m)
        boxes = np.array([box for box, _ in objects(scene, "container")])
        sides.append(gsd_m * (boxes[:, 2:] - boxes[:, :2]).max())
    assert 0.5 < sides[0] < 8
    assert 0.5 < sides[1] < 8

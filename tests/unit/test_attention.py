"""Whether a container needs attention: what speaks for it, and which container waste lies by."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.drawn_site import one_camera
from services.attention import need
from services.container_places import lies_by
from services.odds import log_odds, probability
from services.purposes import waste
from tests.waste_views import by_quantity, view


@given(st.floats(0, 1), st.floats(0.6, 0.9999))
def test_odds_there_and_back_are_the_probability_but_for_the_bounds(p, surest):
    assert probability(log_odds(p, surest)) == pytest.approx(np.clip(p, 1 - surest, surest))


@given(
    clean=st.none() | st.floats(0, 1),
    beside=st.floats(0, 1),
    change=st.none() | st.floats(0, 1),
    more=st.floats(0, 1),
)
def test_what_speaks_for_waste_never_speaks_against_it(clean, beside, change, more):
    if clean is None and change is None:
        return
    value = need(clean, beside, change)
    assert 0 <= value <= 1
    assert need(clean, max(beside, more), change) >= value - 1e-12
    if clean is not None:
        assert need(min(clean, more), beside, change) >= value - 1e-12
    if change is not None:
        assert need(clean, beside, max(change, more)) >= value - 1e-12


LEFT, RIGHT, BAG = [250, 293, 400, 560], [440, 293, 590, 560], [450, 520, 510, 580]
"""The bag touches the right one, and lies within reach of both."""
CLEAN, FULL = [1, 0, 0, 0], [0.1, 0, 0, 0.9]


def told(places, finds):
    """What is told of containers at such places, kind and box, of such finds, box and states.

    Of a bag there are no states.
    """
    assets = [
        (f"C-{number}", kind, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], {})
        for number, (kind, (x1, y1, x2, y2)) in enumerate(places)
    ]
    site = one_camera("waste", "cam-01/", assets)
    boxes, states = zip(*finds, strict=True)
    labels = [int(known is None) for known in states]
    seen = view(boxes, labels, [known or CLEAN for known in states], size_hw=(600, 800))
    return by_quantity(waste.measure(replace(seen, site=site, camera=site.cameras[0])))


def test_a_bag_between_two_containers_counts_once():
    places = [("container", LEFT), ("container", RIGHT)]
    both = told(places, [(LEFT, CLEAN), (RIGHT, CLEAN), (BAG, None)])["waste.overflow"]
    values = [(one.value, one.detail["waste_count"]) for one in both]
    assert values == [(pytest.approx(0), 0), (pytest.approx(0.8), 1)]


def test_a_bag_beside_a_container_that_was_missed_is_not_its_neighbours():
    table = told([("container", LEFT), ("container", RIGHT)], [(LEFT, CLEAN), (BAG, None)])
    left, right = table["waste.overflow"]
    assert (left.value, left.detail["waste_count"]) == (pytest.approx(0), 0)
    assert right.reason == "not_seen"
    assert "waste.dump" not in table


@pytest.mark.parametrize("states", [(FULL, CLEAN), (CLEAN, FULL)])
def test_an_isle_is_told_by_the_container_that_needs_it_most_and_none_is_a_stranger(states):
    beyond = [700, 293, 790, 560]
    finds = [*zip((LEFT, RIGHT), states, strict=True), (beyond, CLEAN)]
    table = told([("isle", [240, 280, 600, 570])], finds)
    (isle,) = table["waste.overflow"]
    assert isle.value == isle.detail["overflow"] == pytest.approx(0.9)
    (stranger,) = table["waste.container"]
    assert stranger.evidence.polygon[0] == (700, 293)


def test_waste_beside_any_container_of_an_isle_is_the_isles():
    isle = told([("isle", [240, 280, 600, 570])], [(LEFT, CLEAN), (RIGHT, CLEAN), (BAG, None)])[
        "waste.overflow"
    ][0]
    assert (isle.value, isle.detail["waste_count"]) == (pytest.approx(0.8), 1)
    size = (RIGHT[2] - RIGHT[0]) * (RIGHT[3] - RIGHT[1])
    assert isle.detail["waste_area"] == pytest.approx(60 * 60 / size, abs=1e-4)


def test_a_container_registered_within_an_isle_is_told_alone():
    table = told(
        [("isle", [240, 280, 600, 570]), ("container", RIGHT)], [(LEFT, CLEAN), (RIGHT, FULL)]
    )
    assert [one.value for one in table["waste.overflow"]] == pytest.approx([0, 0.9])


@given(
    st.lists(st.tuples(*[st.integers(0, 90)] * 2, *[st.integers(5, 40)] * 2), max_size=4),
    st.lists(st.tuples(*[st.integers(0, 90)] * 2, *[st.integers(1, 9)] * 2), max_size=4),
)
def test_waste_lies_by_one_container_within_half_its_height_or_by_none(places, waste_there):
    def boxes(listed):
        table = np.array(listed, np.float32).reshape(-1, 4)
        return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:]], 1)

    around, bags = boxes(places), boxes(waste_there)
    reach = (around[:, 3] - around[:, 1]) / 2
    for bag, index in zip(bags, lies_by(around, bags).tolist(), strict=True):
        gaps = np.maximum(np.maximum(around[:, :2] - bag[2:], bag[:2] - around[:, 2:]), 0)
        near = (gaps < reach[:, None]).all(1)
        assert near[index] if index >= 0 else not near.any()
        if index >= 0:
            away = np.linalg.norm(gaps, axis=1)
            assert away[index] <= away[near].min() + 0.2


@given(st.integers(5, 90), st.integers(5, 90), st.integers(91, 200), st.integers(0, 200))
def test_from_above_waste_lies_by_a_container_however_that_is_turned(width, height, x, y):
    place = np.array([[0, 0, width, height]], np.float32)
    bag = np.array([[x, y, x + 5, y + 5]], np.float32)
    turned = [1, 0, 3, 2]
    by = lies_by(place, bag, from_above=True)
    assert by.tolist() == lies_by(place[:, turned], bag[:, turned], from_above=True).tolist()
    assert (by[0] == 0) == (max(x - width, y - height) < min(width, height) / 2)

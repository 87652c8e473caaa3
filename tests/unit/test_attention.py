"""Whether a container needs attention: what speaks for it, and which container waste lies by."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.drawn_site import one_camera
from services.attention import lies_by, need
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


def test_a_bag_between_two_containers_counts_once():
    """It touches the right one, and lies within reach of both."""
    left, right, bag = [250, 293, 400, 560], [440, 293, 590, 560], [450, 520, 510, 580]
    outlines = [[(x1, y1), (x2, y1), (x2, y2), (x1, y2)] for x1, y1, x2, y2 in (left, right)]
    assets = [(name, "container", o, {}) for name, o in zip("AB", outlines, strict=True)]
    site = one_camera("waste", "cam-01/", assets)
    seen = view([left, right, bag], [0, 0, 1], [[1, 0, 0, 0]] * 3, size_hw=(600, 800))
    told = by_quantity(waste.measure(replace(seen, site=site, camera=site.cameras[0])))
    values = [(one.value, one.detail["waste_count"]) for one in told["waste.overflow"]]
    assert values == [(pytest.approx(0), 0), (pytest.approx(0.8), 1)]


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

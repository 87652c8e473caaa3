"""What maps and cameras say of parcels, lines to keep clear, lawns and gauges."""

from datetime import timedelta

import numpy as np
import pytest

from services.events import Observation
from services.judgement import CONDITIONS, judge
from services.purposes import vegetation
from services.status import State
from tests.surveyed import AT, SIZE, Map, ground, told


def test_a_parcel_tells_height_cover_and_what_is_higher_than_its_limit():
    metres = ground()
    metres[10:30, 10:50] = 6.0
    seen = told(Map(metres))
    assert seen["vegetation.over"].value == pytest.approx(0.5, abs=0.03)
    assert seen["vegetation.cover"].value == 1
    height = seen["vegetation.height"]
    assert height.value == pytest.approx(3, abs=0.2)
    assert height.unit == "m"
    assert height.low < height.value < height.high
    assert height.detail["p95"] == pytest.approx(6, abs=0.01)
    assert height.evidence.key == "ortho/a.heights.tif"


def test_low_vegetation_is_told_as_a_range_not_as_a_number():
    height = told(Map(ground() + 0.2))["vegetation.height"]
    assert (height.value, height.low, height.reason) == (None, 0, "low")
    assert height.high >= 0.5


def test_what_was_not_analysed_is_unknown_never_low():
    valid = np.ones((SIZE, SIZE), bool)
    valid[10:40, 10:50] = False
    seen = told(Map(ground(), valid=valid))
    for quantity in ("vegetation.height", "vegetation.cover", "vegetation.over"):
        assert seen[quantity].value is None
        assert seen[quantity].high is None
        assert seen[quantity].reason == "not_analysed"
    assert "vegetation.vigour" not in seen
    nothing = told(Map(ground(), valid=False), "allee")
    assert nothing["vegetation.encroachment"].reason == "not_analysed"


def test_a_number_under_half_a_metre_is_in_no_detail_either():
    metres = ground() + 0.1
    metres[10:20, 10:50] = 3.0
    height = told(Map(metres))["vegetation.height"]
    assert height.value == pytest.approx(0.85, abs=0.1)
    assert "median" not in height.detail
    assert height.detail["median_low"] == height.low == 0
    assert height.detail["median_high"] >= 0.5
    assert height.detail["p95"] == pytest.approx(3, abs=0.01)


def test_plants_that_may_be_none_are_neither_surely_low_nor_surely_clear():
    unsure = Map(ground() + 6, vegetation=0.45)
    seen = told(unsure)
    assert (seen["vegetation.over"].value, seen["vegetation.over"].high) == (0, 1)
    assert seen["vegetation.height"].high > 6
    assert told(unsure, "allee")["vegetation.encroachment"].high > 6


def test_a_meadow_is_to_be_mown_trees_and_lawn_are_not():
    metres = ground() + 0.2
    metres[10:34, 10:50] = 1.6
    metres[34:40, 10:50] = 12.0
    share = told(Map(metres, sigma=0.1))["vegetation.unmown"]
    assert share.value == pytest.approx(0.6, abs=0.03)
    assert share.detail["mow_m"] == pytest.approx(0.6)
    conditions = vegetation.judgement({"mow_m": 0.6})
    state, change = judge(
        State(), share, CONDITIONS["vegetation.unmown"], conditions["vegetation.unmown"]
    )
    assert change.kind == "vigie.vegetation.mowing.due.v1"
    mown = told(Map(ground() + 0.2, sigma=0.1, at=AT + timedelta(days=9)))["vegetation.unmown"]
    _, change = judge(state, mown, CONDITIONS["vegetation.unmown"], conditions["vegetation.unmown"])
    assert change.kind == "vigie.vegetation.mowing.done.v1"


def test_a_parcel_beyond_the_map_is_not_told():
    assert not told(Map(ground()), "ailleurs")


def test_what_grows_within_the_distance_of_a_line_encroaches_what_stands_beyond_does_not():
    metres = ground()
    metres[40:50, 80:90] = 9.0  # five metres from the line
    clear = told(Map(metres), "allee")["vegetation.encroachment"]
    assert (clear.value, clear.low, clear.reason) == (None, 0, "low")
    metres[40:50, 72:76] = 5.0
    grown = told(Map(metres), "allee")["vegetation.encroachment"]
    assert (grown.value, grown.unit) == (5, "m")
    assert grown.low < 5 < grown.high


def test_encroachment_ends_on_what_is_low_however_wide_its_range():
    name = "vegetation.encroachment"
    course, state, events = [5.0, 0.3], State(), []
    for day, height_m in enumerate(course):
        seen = told(Map(ground() + height_m, at=AT + timedelta(days=day)), "allee")[name]
        state, change = judge(state, seen, CONDITIONS[name], vegetation.judgement({})[name])
        events += [change.kind] if change else []
    assert seen.value is None
    assert seen.high > 1  # under which it is clear
    assert events == [CONDITIONS[name].rises, CONDITIONS[name].falls]


def test_what_is_too_high_is_told_of_a_part_that_nothing_is_only_of_nearly_all():
    part = np.arange(SIZE) < 60
    metres = ground()
    clear = told(Map(metres, valid=part[:, None]), "allee")["vegetation.encroachment"]
    assert (clear.value, clear.low, clear.high) == (None, 0, None)
    assert clear.reason == "not_analysed"
    metres[40:50, 72:76] = 5.0
    grown = told(Map(metres, valid=part[:, None]), "allee")["vegetation.encroachment"]
    assert grown.value == 5
    assert grown.detail["analysed"] == pytest.approx(0.5, abs=0.03)


def test_vigour_is_told_with_the_index_it_is_by():
    green = told(Map(ground()))["vegetation.vigour"]
    assert green.detail["near_infrared"] == 0
    infrared = told(Map(ground(), (50, 80, 50, 150)))["vegetation.vigour"]
    assert infrared.value == pytest.approx(0.5)
    assert infrared.detail["near_infrared"] == 1


def observation(quantity, value, day):
    one: Observation = told(Map(ground()))["vegetation.over"]
    at = AT + timedelta(days=day)
    return one.model_copy(update={"quantity": quantity, "value": value, "observed_at": at})


@pytest.mark.parametrize(
    ("condition", "high", "between", "low"),
    [
        ("vegetation.mowing", 14, 10, 5),
        ("vegetation.growing", 1.2, 0.7, 0.1),
        ("vegetation.unmown", 0.6, 0.3, 0.1),
        ("vegetation.pruning", 0.4, 0.15, 0.02),
        ("vegetation.encroachment", 3.0, 1.5, 0.2),
        ("vegetation.dryness", 0.5, 0.2, 0.0),
    ],
)
def test_conditions_begin_once_hold_between_the_limits_and_end_once(condition, high, between, low):
    limits = vegetation.judgement({})[condition]
    state, events = State(), []
    course = [low, high, high, between, high, between, low, low, between]
    for day, value in enumerate(course):
        seen = observation(CONDITIONS[condition].quantity, value, day)
        state, change = judge(state, seen, CONDITIONS[condition], limits)
        events += [change.kind] if change else []
    assert events == [CONDITIONS[condition].rises, CONDITIONS[condition].falls]


def test_limits_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="mown_cm must not be above mow_cm"):
        vegetation.judgement({"mow_cm": 5, "mown_cm": 8})
    with pytest.raises(ValueError, match="mow_m must be below height_m"):
        vegetation.judgement({"mow_m": 2, "height_m": 2})

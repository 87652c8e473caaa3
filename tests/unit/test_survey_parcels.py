"""Parts of a parcel that nobody saw, falls of vigour, and cases that intervals leave open."""

from datetime import timedelta

import numpy as np
import pytest

from services.judgement import CONDITIONS, judge
from services.purposes import vegetation
from services.status import UNSURE, State
from tests.surveyed import AT, SIZE, Map, ground, told


def judged(*observations, condition):
    """The last state, and the types of events."""
    state, events = State(), []
    for day, one in enumerate(observations):
        later = one.model_copy(update={"observed_at": AT + timedelta(days=day)})
        limits = vegetation.judgement({})[condition]
        state, change = judge(state, later, CONDITIONS[condition], limits)
        events += [change.kind] if change else []
    return state, events


def half_hidden():
    """Trees on a little less than half of the parcel, seen whole, then with the trees hidden."""
    metres = ground()
    metres[31:] = 15
    seen = np.arange(SIZE)[:, None] < 31
    return told(Map(metres)), told(Map(metres, valid=seen))


@pytest.mark.parametrize("quantity", ["height", "cover", "over", "unmown", "vigour"])
def test_all_that_is_told_of_a_parcel_says_how_much_of_it_was_seen(quantity):
    whole, part = half_hidden()
    assert whole[f"vegetation.{quantity}"].detail["analysed"] == 1
    assert part[f"vegetation.{quantity}"].detail["analysed"] == 0.525


def test_trees_that_are_hidden_end_no_case():
    whole, part = (seen["vegetation.over"] for seen in half_hidden())
    assert (part.value, part.low, part.high) == (0, 0, 0.475)
    state, events = judged(whole, part, condition="vegetation.pruning")
    assert events == ["vigie.vegetation.pruning.due.v1"]
    assert state.level == 1


@pytest.mark.parametrize(
    ("quantity", "condition", "metres"), [("over", "pruning", 6), ("unmown", "unmown", 2)]
)
def test_an_interval_that_holds_everything_begins_nothing(quantity, condition, metres):
    share = told(Map(ground() + metres, vegetation=0.5))[f"vegetation.{quantity}"]
    assert (share.value, share.low, share.high) == (1, 0, 1)
    state, events = judged(share, condition=f"vegetation.{condition}")
    assert (events, state.status, state.doubt.reason) == ([], "unknown", UNSURE)


@pytest.mark.parametrize(
    ("low", "value", "high", "events"),
    [
        (0.35, 0.5, 0.7, ["started"]),
        (0.3, 0.5, 0.7, ["started"]),
        (0.29, 0.5, 0.7, []),
        (None, 0.5, None, ["started"]),
    ],
)
def test_a_share_begins_where_its_lower_end_is_past_the_limit(low, value, high, events):
    one = told(Map(ground()))["vegetation.over"]
    dry = one.model_copy(update={"value": value, "low": low, "high": high})
    told_of = judged(dry, condition="vegetation.dryness")[1]
    assert [kind.split(".")[3] for kind in told_of] == events


def vigour(value, days, infrared=0.0, clock="key", spread=0.0):
    at = AT - timedelta(days=days)
    one = told(Map(ground(), at=at, clock=clock))["vegetation.vigour"]
    ends = {"value": value, "low": value - spread, "high": value + spread}
    return one.model_copy(update=ends | {"detail": {"near_infrared": infrared}})


def test_dryness_is_the_fall_below_the_best_of_the_season_by_the_same_index():
    now = told(Map(ground()))["vegetation.vigour"].value
    assert "vegetation.dryness" not in told(Map(ground()))
    past = [
        vigour(2 * now, 30),
        vigour(now, 5),
        vigour(9 * now, 200),  # last year's
        vigour(9 * now, 3, infrared=1.0),
        vigour(9 * now, -5),  # younger, but came before
    ]
    dry = told(Map(ground(), past=past))["vegetation.dryness"]
    assert dry.value == pytest.approx(0.5, abs=1e-3)
    greener = told(Map(ground(), past=[vigour(now / 2, 9)]))["vegetation.dryness"]
    assert greener.value == 0


def test_a_fall_is_as_uncertain_as_both_indices():
    now = told(Map(ground()))["vegetation.vigour"]
    dry = told(Map(ground(), past=[vigour(0.6, 9, spread=0.1)]))["vegetation.dryness"]
    assert dry.low == pytest.approx(1 - now.high / 0.5, abs=1e-3)
    assert dry.high == pytest.approx(1 - now.low / 0.7, abs=1e-3)
    none = told(Map(ground(), past=[vigour(0.6, 9, spread=0.7)]))["vegetation.dryness"]
    assert none.low == 0


def test_other_light_is_no_drought():
    past = [told(Map(ground(), (85, 100, 75), at=AT - timedelta(days=20)))["vegetation.vigour"]]
    dry = told(Map(ground(), (85, 93, 75), past=past))["vegetation.dryness"]
    assert dry.value > 0.3
    assert judged(dry, condition="vegetation.dryness")[1] == []


@pytest.mark.parametrize(("now", "before"), [("object", "key"), ("key", "object")])
def test_when_a_raster_was_stored_tells_no_season(now, before):
    seen = told(Map(ground(), past=[vigour(0.9, 9, clock=before)], clock=now))
    assert "vegetation.vigour" in seen
    assert "vegetation.dryness" not in seen


def test_a_picture_without_colours_tells_no_vigour():
    seen = told(Map(ground(), (90, 90, 90), past=[vigour(0.5, 9)]))
    assert not {"vegetation.vigour", "vegetation.dryness"} & set(seen)

"""Pictures that stop coming are told once, whoever notices, and taken back where they were late."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.judgement import LOST_VIEW, VIEW_LIMITS
from services.record import judge_all
from tests.unit.test_judgement import OVERFLOW, SOURCE, START, observation
from tests.unit.test_record import EAGER, LATENESS, Town, facts_of

HOUR = timedelta(hours=1)
WATCHED = VIEW_LIMITS.model_copy(update={"silent": 4 * HOUR})
LOST, RESTORED = "vigie.site.view.lost.v1", "vigie.site.view.restored.v1"
RECORDED, WITHDRAWN = "vigie.observation.recorded.v1", "vigie.event.withdrawn.v1"


def sighting(hours, value=0.0, reason="dark"):
    changes = {"quantity": LOST_VIEW, "camera": "cam-01", "asset": "urn:vigie:t:s:view:cam-01"}
    seen = observation(round(hours * 60), value, reason, "cam-01")
    return seen.model_copy(update=changes)


def camera(*seen):
    town = Town(WATCHED, condition=LOST_VIEW)
    for one in seen:
        town.arrive(one)
    return town


def changes(events):
    return [event for event in events if event.type != RECORDED]


def test_a_camera_that_falls_silent_is_told_once_with_its_last_picture():
    town = camera(sighting(0), sighting(1))
    assert town.arrive(now=START + 5 * HOUR) == []  # four hours are not more than four
    recorded, lost = town.arrive(now=START + 6 * HOUR)
    assert (recorded.type, lost.type) == (RECORDED, LOST)
    assert (lost.data["value"], lost.data["reason"]) == (None, "silent")
    assert lost.data["since"] == "2026-06-12T06:00:00Z"
    assert lost.time == START + 5 * HOUR
    assert lost.data["evidence"] == sighting(1).evidence.model_dump(mode="json") | {"polygon": []}
    assert town.record.state.status_at(START + 900 * HOUR, WATCHED.stale) == "raised"
    assert town.arrive(now=START + 90 * HOUR) == []
    assert town.record.due is None


def test_the_first_picture_that_comes_again_restores_it_whatever_it_shows():
    for value in (0.0, 1.0, None):
        town = camera(sighting(0))
        (lost,) = changes(town.arrive(now=START + 6 * HOUR))
        (restored,) = town.arrive(sighting(9, value))
        assert (restored.type, restored.time) == (RESTORED, START + 9 * HOUR)
        assert restored.data["since"] == lost.data["since"]
        assert restored.data["until"] == "2026-06-12T14:00:00Z"
        assert town.record.state.status == ("clear" if value == 0 else "unknown")
        assert town.record.due == START + 13 * HOUR
    # One that shows another view is told of in its turn.
    (moved,) = camera(sighting(0), sighting(9, 1.0)).arrive(sighting(9.2, 1.0))
    assert (moved.type, moved.data["value"]) == (LOST, 1.0)


def test_a_silence_that_only_the_next_picture_shows_has_the_same_id():
    noticed = changes(camera(sighting(0)).arrive(now=START + 5 * HOUR))
    town = camera(sighting(0))
    assert changes(town.arrive(sighting(20)))[0] == noticed[0]


def test_late_pictures_take_a_silence_back():
    town = camera(sighting(0))
    recorded, lost = town.arrive(now=START + 6 * HOUR)
    events = town.arrive(sighting(3), sighting(5.5))
    assert [event.type for event in events] == [WITHDRAWN] * 2
    assert {event.data["event"] for event in events} == {recorded.id, lost.id}
    assert town.facts == set()
    (lost,) = changes(town.arrive(now=START + 10 * HOUR))
    assert lost.data["since"] == "2026-06-12T10:30:00Z"
    # What the clock said is remembered: another late picture only moves when it began.
    *withdrawn, _, lost = town.arrive(sighting(5.75))
    assert len(withdrawn) == 2
    assert lost.data["since"] == "2026-06-12T10:45:00Z"


def test_a_view_that_is_lost_already_is_not_lost_again():
    town = camera(*[sighting(h / 4, 1.0) for h in range(4)])
    assert [event.type for event in town.told] == [LOST]
    (recorded,) = town.arrive(now=START + 10 * HOUR)
    assert recorded.type == RECORDED
    assert changes(town.arrive(sighting(11, 1.0), sighting(12, 1.0))) == []
    (restored,) = town.arrive(sighting(13), sighting(13.2))
    assert restored.data["since"] == "2026-06-12T05:00:00Z"


def test_an_asset_that_nobody_saw_for_too_long_becomes_unknown_and_says_so():
    town = Town()
    town.arrive(*[observation(m, 0.9) for m in (0, 20, 40)])
    assert town.record.state.status == "raised"
    (told,) = town.arrive(now=START + 13 * HOUR)
    assert (told.type, told.data["value"], told.data["reason"]) == (RECORDED, None, "silent")
    assert told.time == START + timedelta(minutes=40) + EAGER.stale
    assert (town.record.state.status, town.record.state.level) == ("unknown", 1)
    # Confirmed, it is what it was: that was told, and nothing has ended.
    assert town.arrive(observation(60 * 14, 0.9)) == []
    assert town.record.state.status == "raised"


def test_an_asset_of_which_nothing_was_ever_seen_says_nothing():
    assert camera().arrive(now=START) == []


def test_a_camera_that_may_fall_silent_loses_no_view():
    town = Town(VIEW_LIMITS, condition=LOST_VIEW)
    town.arrive(sighting(0))
    (recorded,) = town.arrive(now=START + 100 * HOUR)
    assert recorded.type == RECORDED
    assert town.record.state.status == "unknown"


@pytest.mark.parametrize("limits", [WATCHED, VIEW_LIMITS], ids=["silent_hours", "none"])
@pytest.mark.parametrize("before", [[], [sighting(-1)]], ids=["never seen", "seen"])
def test_a_lens_that_stays_dark_for_a_day_is_a_lost_view(before, limits):
    dark = [sighting(h, None) for h in range(59)]
    state, events = judge_all([*before, *dark], LOST_VIEW, limits, SOURCE)
    (lost,) = changes(events)
    assert (lost.type, lost.time) == (LOST, START + 24 * HOUR)
    assert lost.data["since"] == "2026-06-12T05:00:00Z"
    assert (lost.data["value"], lost.data["reason"]) == (None, "dark")
    assert state.status_at(START + 59 * HOUR, limits.stale) == "raised"
    restored = [sighting(60), sighting(60.2)]
    state, events = judge_all([*before, *dark, *restored], LOST_VIEW, limits, SOURCE)
    assert [event.type for event in changes(events)] == [LOST, RESTORED]
    assert state.status == "clear"


def test_nights_lose_no_view():
    days = [sighting(h, 0.0 if h % 24 < 8 else None) for h in range(240)]
    assert judge_all(days, LOST_VIEW, WATCHED, SOURCE)[1] == []


def test_pictures_that_nobody_can_look_for_a_view_in_lose_none_however_many_come():
    alive = [sighting(h, None, "no_references") for h in range(90)]
    state, events = judge_all(alive, LOST_VIEW, WATCHED, SOURCE)
    assert events == []
    assert state.reason_at(START + 89 * HOUR, WATCHED.stale) == "no_references"
    # References come, and it is night.
    assert judge_all([*alive, sighting(90, None)], LOST_VIEW, WATCHED, SOURCE)[1] == []


def test_one_dark_picture_after_days_without_any_is_no_dark_day():
    state, events = judge_all([sighting(0), sighting(90, None)], LOST_VIEW, VIEW_LIMITS, SOURCE)
    assert changes(events) == []
    assert state.reason_at(START + 91 * HOUR, VIEW_LIMITS.stale) == "dark"


def test_a_silence_across_the_limit_of_lateness_stays_told():
    town = camera(sighting(0), sighting(20))
    before = town.facts
    assert len(before) == 3
    for hour in range(21, 60):
        assert town.arrive(sighting(hour)) == []
    assert town.record.horizon > START + 20 * HOUR
    assert town.facts == before


hours = st.lists(
    st.tuples(st.integers(0, 80), st.none() | st.sampled_from([0.0, 1.0])),
    min_size=1,
    max_size=24,
    unique_by=lambda pair: pair[0],
)


def check(town, ordered, looks, random, condition, limits):
    """Whatever order pictures and looks at the clock come in, the same stands in the end."""
    steps = [*((one, None) for one in ordered), *((None, START + h * HOUR) for h in looks)]
    random.shuffle(steps)
    for one, now in steps:
        town.arrive(*([] if one is None else [one]), now=now)
    # The clock says nothing before there was a picture.
    first = next(i for i, (one, _) in enumerate(steps) if one is not None)
    looked = max((now for _, now in steps[first:] if now is not None), default=None)
    state, events = judge_all(ordered, condition, limits, SOURCE, looked)
    assert town.record.state == state
    assert town.facts == facts_of(events)
    assert len({event.id for event in town.told}) == len(town.told)


@given(hours, st.lists(st.integers(0, 60), max_size=4), st.randoms())
def test_views_tell_the_same_in_any_order(seen, looks, random):
    ordered = [sighting(hour, value) for hour, value in sorted(seen, key=lambda pair: pair[0])]
    check(Town(WATCHED, 4 * LATENESS, LOST_VIEW), ordered, looks, random, LOST_VIEW, WATCHED)


@given(hours, st.lists(st.integers(0, 60), max_size=4), st.randoms())
def test_assets_tell_the_same_in_any_order(seen, looks, random):
    ordered = [observation(h * 60, v, "dark") for h, v in sorted(seen, key=lambda pair: pair[0])]
    limits = EAGER.model_copy(update={"stale": 3 * HOUR})
    check(Town(limits, 4 * LATENESS), ordered, looks, random, OVERFLOW, limits)


@given(hours, st.randoms())
def test_with_little_lateness_pictures_in_order_tell_the_same_however_often_one_looks(seen, random):
    ordered = [sighting(hour, value) for hour, value in sorted(seen, key=lambda pair: pair[0])]
    town = Town(WATCHED, timedelta(0), LOST_VIEW)
    for one in ordered:
        if random.random() < 0.5:
            town.arrive(now=one.observed_at)
        town.arrive(one)
    state, events = judge_all(ordered, LOST_VIEW, WATCHED, SOURCE)
    assert (town.record.state, town.facts) == (state, facts_of(events))
    assert all(event.type != WITHDRAWN for event in town.told)
    kinds = [event.type for event in changes(town.told)]
    assert kinds == [(LOST, RESTORED)[i % 2] for i in range(len(kinds))]

"""Pictures come late, out of order and twice: what is told in the end is the same."""

from datetime import timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.judgement import Limits
from services.record import Record, judge_again, judge_all
from tests.unit.test_judgement import LIMITS, OVERFLOW, SOURCE, START, observation

LATENESS = timedelta(hours=24)
EAGER = LIMITS.model_copy(update={"dwell": timedelta(minutes=20)})


class Town:
    """A catalog and a platform in small: observations arrive, events are told."""

    def __init__(
        self, limits: Limits = EAGER, lateness: timedelta = LATENESS, condition: str = OVERFLOW
    ) -> None:
        self.limits, self.lateness, self.condition = limits, lateness, condition
        self.record, self.arrived, self.told = Record(), [], []

    def arrive(self, *observations, now=None):
        self.arrived += [o for o in observations if o not in self.arrived]
        since = self.record.horizon
        history = [o for o in self.arrived if since is None or o.observed_at >= since]
        self.record, events = judge_again(
            self.record, history, self.condition, self.limits, self.lateness, SOURCE, now
        )
        self.told += events
        return events

    @property
    def standing(self):
        """What a platform believes that drops what is withdrawn."""
        gone = {e.data["event"] for e in self.told if e.type == "vigie.event.withdrawn.v1"}
        return {(e.type, e.time, str(e.data)) for e in self.told if e.id not in gone and e.id}

    @property
    def facts(self):
        return {fact for fact in self.standing if "withdrawn" not in fact[0]}


def facts_of(events):
    return {(e.type, e.time, str(e.data)) for e in events}


values = st.lists(st.none() | st.sampled_from([0.1, 0.5, 0.9]), min_size=1, max_size=30)


def frames(values):
    return [observation(i * 20, v, None if v is not None else "dark") for i, v in enumerate(values)]


@given(values, st.randoms(), st.integers(1, 4))
def test_any_order_of_arrival_and_any_repeats_tell_the_same_in_the_end(values, random, at_once):
    ordered = frames(values)
    mixed = ordered + ordered[::3]
    random.shuffle(mixed)
    town = Town()
    for start in range(0, len(mixed), at_once):
        town.arrive(*mixed[start : start + at_once])
    state, events = judge_all(ordered, OVERFLOW, EAGER, SOURCE)
    assert town.record.state == state
    assert town.facts == facts_of(events)
    assert len({event.id for event in town.told}) == len(town.told)


@given(values, st.randoms())
def test_pictures_hours_apart_may_each_be_late_by_the_limit(values, random):
    hours = [
        observation(i * 60, v, None if v is not None else "dark") for i, v in enumerate(values)
    ]
    arrivals = sorted(hours, key=lambda o: o.observed_at + random.random() * LATENESS)
    town = Town()
    for one in arrivals:
        town.arrive(one)
    state, events = judge_all(hours, OVERFLOW, EAGER, SOURCE)
    assert town.record.state == state
    assert town.facts == facts_of(events)


@given(values)
def test_in_order_nothing_is_ever_withdrawn(values):
    town = Town()
    for one in frames(values):
        town.arrive(one)
    assert all(event.type != "vigie.event.withdrawn.v1" for event in town.told)


def test_a_late_picture_that_shows_a_collection_takes_the_event_back():
    town = Town()
    early, late, last = observation(0, 0.9), observation(20, 0.1), observation(40, 0.9)
    (started,) = town.arrive(early, last)
    (withdrawn,) = town.arrive(late)
    assert withdrawn.type == "vigie.event.withdrawn.v1"
    assert withdrawn.data == {"event": started.id, "type": started.type, "reason": "late_picture"}
    assert (withdrawn.subject, withdrawn.time) == (started.subject, started.time)
    assert town.record.state.level == 0


def test_what_is_told_again_after_it_was_withdrawn_has_a_new_id():
    slow = {"together": timedelta(minutes=15), "dwell": timedelta(minutes=35)}
    town = Town(EAGER.model_copy(update=slow))
    (first,) = town.arrive(observation(0, 0.9, camera="A"), observation(40, 0.9, camera="A"))
    town.arrive(observation(30, 0.1, camera="A"))
    (again,) = town.arrive(observation(29, 0.9, camera="B"))  # A does not see all
    assert [event.type.split(".")[-2] for event in town.told] == ["started", "withdrawn", "started"]
    assert (again.data, again.time) == (first.data, first.time)
    assert again.id != first.id
    assert town.facts == facts_of([first])


def test_a_limit_of_lateness_that_is_raised_does_not_open_what_is_settled():
    town = Town(lateness=timedelta(minutes=30))
    town.arrive(*[observation(m, 0.9) for m in (0, 20, 40, 60, 80, 100)])
    town.lateness = LATENESS
    before = town.record.horizon
    assert town.arrive(observation(120, 0.9)) == []
    assert town.record.horizon == before


def test_what_comes_later_than_the_limit_moves_nothing():
    town = Town(lateness=timedelta(hours=1))
    town.arrive(*[observation(m, 0.1) for m in (0, 60, 120)])
    before = town.record
    assert town.arrive(observation(30, 0.9), observation(50, 0.9)) == []
    assert town.record == before


@pytest.mark.parametrize("model", ["a@1", "waste@0"])
@pytest.mark.parametrize("work", range(5))
def test_of_two_looks_at_one_picture_the_first_is_heard(model, work):
    """By another model, or by the same for a site file that has changed."""
    town = Town()
    town.arrive(*[observation(m, 0.9) for m in (0, 20, 40)])
    again = [
        observation(m, 0.1).model_copy(update={"model": model, "work": f"{work}{m:031d}"})
        for m in (0, 20, 40)
    ]
    assert town.arrive(*again) == []
    assert town.record.state.level == 1


@given(values)
def test_a_record_outlives_a_restart(values):
    town = Town()
    for _, some in groupby(enumerate(frames(values)), key=lambda pair: pair[0] // 3):
        town.arrive(*(one for _, one in some))
        town.record = Record.model_validate_json(town.record.model_dump_json())
    state, events = judge_all(frames(values), OVERFLOW, EAGER, SOURCE)
    assert (town.record.state, town.facts) == (state, facts_of(events))


def test_memory_does_not_grow_with_history():
    town = Town(lateness=timedelta(hours=2))
    for hour in range(200):
        town.arrive(observation(hour * 60, 0.9 if hour % 4 < 2 else 0.1))
    assert len(town.told) > 50
    assert len(town.record.told) < 5
    assert town.record.horizon == START + timedelta(hours=197)

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.events import Evidence, Observation
from services.judgement import Limits, State, judge_all

START = datetime(2026, 6, 12, 5, tzinfo=UTC)
LIMITS = Limits(enter=0.6, leave=0.4, dwell=timedelta(minutes=30), stale=timedelta(hours=12))
SOURCE = "/territories/t/sites/s"


def observation(minutes, value, reason=None):
    return Observation(
        work=f"{minutes:032d}",
        asset="urn:vigie:t:s:C-1",
        quantity="waste.overflow",
        value=value,
        unit="1",
        reason=reason if value is None else None,
        observed_at=START + timedelta(minutes=minutes),
        time_source="key",
        evidence=Evidence(key="a.jpg", sha256="0" * 64, polygon=()),
        model="waste@0",
    )


def history(*values, step=20):
    return [
        observation(i * step, value, None if value is not None else "dark")
        for i, value in enumerate(values)
    ]


def judged(*values, step=20):
    return judge_all(State(), history(*values, step=step), LIMITS, SOURCE)


def kinds(events):
    return [event.type.split(".")[3] for event in events]


def test_a_container_that_fills_and_is_emptied_starts_and_ends_once():
    state, events = judged(0.1, 0.2, 0.7, 0.8, 0.9, 0.9, 0.1, 0.1, 0.1)
    assert kinds(events) == ["started", "ended"]
    assert [event.sequence for event in events] == ["0000000001", "0000000002"]
    assert state.status == "clear"


def test_since_is_when_the_value_first_passed_the_limit_not_when_dwell_was_over():
    _, events = judged(0.1, 0.7, 0.8, 0.9)
    assert events[0].data["since"] == "2026-06-12T05:20:00Z"
    assert events[0].time == START + timedelta(minutes=60)


def test_a_short_peak_raises_nothing():
    assert judged(0.1, 0.9, 0.1, 0.9, 0.1)[1] == []


def test_unknown_moves_nothing():
    state, events = judged(0.9, 0.9, 0.9, None, None, None, 0.9)
    assert kinds(events) == ["started"]
    assert state.raised


def test_a_value_between_the_limits_keeps_what_is():
    state, events = judged(0.9, 0.9, 0.9, 0.5, 0.45, 0.55, 0.5)
    assert kinds(events) == ["started"]
    assert state.status == "raised"


def test_after_a_long_silence_the_dwell_starts_anew():
    first, events = judged(0.9)
    assert events == []
    later = [observation(60 * 20, 0.9)]
    state, events = judge_all(first, later, LIMITS, SOURCE)
    assert events == []
    assert state.status == "unknown"


def test_an_older_observation_leaves_the_state_alone():
    state, _ = judged(0.9, 0.9, 0.9)
    again, events = judge_all(state, [observation(10, 0.0)], LIMITS, SOURCE)
    assert again == state
    assert events == []


@given(st.lists(st.floats(0.41, 0.59), min_size=1, max_size=40))
def test_a_signal_between_the_limits_never_raises_an_event(values):
    assert judged(*values)[1] == []


@given(st.lists(st.none() | st.floats(0, 1), max_size=40), st.randoms())
def test_order_of_arrival_and_repeats_change_nothing(values, random):
    ordered = history(*values)
    mixed = ordered + ordered[: len(ordered) // 2]
    random.shuffle(mixed)
    assert judge_all(State(), mixed, LIMITS, SOURCE) == judge_all(State(), ordered, LIMITS, SOURCE)


@given(st.lists(st.none() | st.floats(0, 1), max_size=60))
def test_started_and_ended_alternate_and_the_sequence_has_no_gap(values):
    _, events = judged(*values)
    assert kinds(events) == [("started", "ended")[i % 2] for i in range(len(events))]
    assert [int(event.sequence) for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)

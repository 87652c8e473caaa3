import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.events import (
    Event,
    Evidence,
    Observation,
    completed,
    derived_id,
    quarantined,
    recorded,
    work_key,
)
from services.judgement import Limits, State, found, judge_all

NOW = datetime(2026, 6, 12, 7, 40, tzinfo=UTC)


def observation(**changes):
    fields = {
        "work": "w" * 32,
        "asset": "urn:vigie:t:s:C-1",
        "quantity": "waste.overflow",
        "value": 0.8,
        "unit": "1",
        "observed_at": NOW,
        "time_source": "exif",
        "evidence": Evidence(key="a.jpg", sha256="0" * 64, polygon=((0, 0), (1, 0), (1, 1))),
        "model": "waste@abc",
    }
    return Observation(**fields | changes)


def test_unknown_needs_a_reason_and_a_value_must_not_have_one():
    assert observation(value=None, reason="dark").value is None
    for wrong in ({"value": None}, {"reason": "dark"}):
        with pytest.raises(ValidationError):
            observation(**wrong)


def test_a_recorded_unknown_says_so_in_the_event():
    data = recorded(observation(value=None, reason="dark"), "/s").data
    assert data["value"] is None
    assert data["reason"] == "dark"


def test_a_naive_time_is_refused():
    with pytest.raises(ValidationError):
        observation(observed_at=datetime(2026, 6, 12))


def test_cloudevents_required_attributes_stand_in_the_json():
    body = json.loads(recorded(observation(), "/territories/t/sites/s").json_line())
    assert body["specversion"] == "1.0"
    assert body["source"] == "/territories/t/sites/s"
    assert body["type"] == "vigie.observation.recorded.v1"
    assert body["time"] == "2026-06-12T07:40:00Z"
    assert body["id"]
    assert "sequence" not in body  # an absent attribute is left out, not null


def test_ids_depend_on_image_models_configuration_and_key():
    same = work_key("etag", ("a@1", "b@2"), "c", "k.jpg")
    assert work_key("etag", ("b@2", "a@1"), "c", "k.jpg") == same
    others = {
        work_key("other", ("a@1", "b@2"), "c", "k.jpg"),
        work_key("etag", ("a@1", "b@3"), "c", "k.jpg"),
        work_key("etag", ("a@1", "b@2"), "d", "k.jpg"),
        work_key("etag", ("a@1", "b@2"), "c", "l.jpg"),
    }
    assert len(others | {same}) == 5


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\x1f")), min_size=1, max_size=4
    )
)
def test_derived_ids_do_not_run_parts_together(parts):
    assert derived_id(*parts, "") != derived_id(*parts)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.floats(0, 1),
)
def test_events_round_trip_through_json(time, offset, value):
    at = time.replace(tzinfo=timezone(timedelta(minutes=offset)))
    event = recorded(observation(observed_at=at, value=value), "/s")
    again = Event.model_validate_json(event.json_line())
    assert again == event
    assert again.time == at


def reading(**changes):
    fields = {"quantity": "waste.fill_level", "value": 0.7, "low": 0.6, "high": 0.85}
    return observation(
        **fields | {"time_source": "sensor", "evidence": None, "model": "ultrasonic-17@2"} | changes
    )


def test_a_fill_level_that_a_sensor_read_has_an_interval_and_no_picture():
    body = json.loads(recorded(reading(), "/s").json_line())["data"]
    assert (body["low"], body["value"], body["high"]) == (0.6, 0.7, 0.85)
    assert "evidence" not in body
    assert reading(value=None, low=None, high=None, reason="not_seen").value is None


@pytest.mark.parametrize(
    "changes", [{"low": 0.8}, {"high": 0.5}, {"time_source": "key"}, {"value": None}]
)
def test_a_reading_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValidationError):
        reading(**changes)


def test_batch_and_quarantine_events_are_deterministic():
    assert quarantined("w", "k", "truncated", NOW, "/s") == quarantined(
        "w", "k", "truncated", NOW, "/s"
    )
    assert completed("b", {"redacted": 2}, NOW, "/s").id == completed("b", {}, NOW, "/s").id


def test_the_wire_form_of_every_event_type_stays_as_it_is(golden):
    seen = observation(camera="cam", detail={"clean": 0.1, "overflow": 0.9}, confidence=0.8)
    states = [seen.model_copy(update={"observed_at": NOW + timedelta(hours=h)}) for h in range(4)]
    empty = [s.model_copy(update={"value": 0.1, "work": "e" * 32}) for s in states[2:]]
    limits = Limits(enter=0.6, leave=0.4, dwell=timedelta(minutes=30), stale=timedelta(hours=48))
    _, changes = judge_all(State(), [*states[:2], *empty], limits, "/territories/t/sites/s")
    unknown = observation(value=None, reason="dark")
    place = seen.model_copy(
        update={
            "asset": "urn:vigie:t:s:unregistered:earth:-6713.95457",
            "quantity": "waste.container",
            "position": (-3.35625, 47.72875),
        }
    )
    _, reports = found([place], lambda *_: State(), "/territories/t/sites/s")
    events = [
        recorded(seen, "/territories/t/sites/s"),
        recorded(unknown, "/territories/t/sites/s"),
        recorded(reading(), "/territories/t/sites/s"),
        *changes,
        *reports,
        quarantined("w" * 32, "cam/a.jpg", "truncated", NOW, "/territories/t/sites/s"),
        completed("3fa2", {"redacted": 2}, NOW, "/territories/t/sites/s"),
    ]
    assert len({event.type for event in events}) == 6
    golden("events.jsonl", "".join(event.json_line() + "\n" for event in events))

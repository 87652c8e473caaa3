import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from asyncapi3 import AsyncAPI3
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from pydantic import ValidationError

from services import contract
from services.event_examples import example
from services.event_types import DATA, completed, quarantined, recorded
from services.events import Event, Evidence, Observation, derived_id, work_key
from services.mqtt import Broker

ROOT = Path(__file__).parents[2]
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
        "evidence": Evidence(
            key="a.jpg", sha256="0" * 64, polygon=((0, 0), (1, 0), (1, 1)), redactor="privacy@0"
        ),
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


CHECKER = FormatChecker()
OFFICIAL = json.loads((ROOT / "tests" / "cloudevents.json").read_text())
CLOUDEVENT = Draft7Validator(OFFICIAL, format_checker=CHECKER)
ENVELOPE = Draft202012Validator(contract.envelope(), format_checker=CHECKER)


def validate(event):
    """Against CloudEvents' schema and ours, and as the CloudEvents SDK reads it."""
    body = json.loads(event.json_line())
    CLOUDEVENT.validate(body)
    ENVELOPE.validate(body)
    Draft202012Validator(contract.schema(event.type), format_checker=CHECKER).validate(body["data"])
    DATA[event.type].model_validate(body["data"])
    read = JSONFormat().read(CloudEvent, event.json_line().encode())
    assert read.get_attributes()["id"] == event.id
    assert read.get_data() == body["data"]


@pytest.mark.parametrize("kind", DATA)
def test_every_type_of_event_validates_against_its_schema(kind):
    event = example(kind)
    assert event.type == kind
    assert event.dataschema == contract.schema(kind)["$id"]
    assert json.loads(event.json_line()).keys() <= contract.envelope()["properties"].keys()
    validate(event)


def test_what_is_unknown_what_is_a_range_and_what_a_sensor_says_validate_too():
    few = {"value": None, "reason": "below_min_count", "low": 0, "high": 4, "unit": "{person}"}
    for one in (observation(value=None, reason="dark"), reading(), observation(**few)):
        validate(recorded(one, "/territories/t/sites/s"))


@pytest.mark.parametrize(
    "change", [{"time": "noon"}, {"id": ""}, {"sequence": None}, {"specversion": "0.3"}]
)
def test_what_is_no_event_of_ours_does_not_validate(change):
    body = json.loads(example("vigie.waste.overflow.started.v1").json_line())
    assert not ENVELOPE.is_valid(body | change)


@pytest.mark.parametrize("change", [{"time": "noon"}, {"id": ""}, {"subject": ""}, {"type": None}])
def test_what_is_no_cloudevent_does_not_validate_against_their_schema(change):
    Draft7Validator.check_schema(OFFICIAL)
    body = json.loads(example("vigie.waste.overflow.started.v1").json_line())
    assert CLOUDEVENT.is_valid(body)
    assert not CLOUDEVENT.is_valid(body | change)


@pytest.mark.parametrize("change", [{"value": "much"}, {"privacy": "none"}, {"since": 3}])
def test_data_that_is_not_of_its_type_does_not_validate(change):
    event = example("vigie.waste.overflow.started.v1")
    check = Draft202012Validator(contract.schema(event.type))
    assert not check.is_valid(event.data | change)
    assert not check.is_valid({n: v for n, v in event.data.items() if n not in change})


def test_the_documents_in_docs_are_what_the_code_says():
    folder = ROOT / "docs" / "events"
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert there == contract.documents(), "`make docs` rewrites them"


def test_the_channels_document_is_asyncapi_and_names_every_type():
    document = contract.asyncapi()
    AsyncAPI3.model_validate(document)
    named = {one["name"] for one in document["components"]["messages"].values()}
    assert named == {"status", *DATA}
    for channel in document["channels"].values():
        named = set(re.findall(r"{(\w+)}", channel["address"]))
        assert named == set(channel.get("parameters", {}))


def references(part):
    if isinstance(part, dict):
        yield from (one for name, one in part.items() if name == "$ref")
        part = part.values()
    if not isinstance(part, str) and isinstance(part, Iterable):
        for one in part:
            yield from references(one)


def test_every_reference_in_the_channels_document_leads_to_something():
    document = contract.asyncapi()
    found = list(references(document))
    assert len(found) > 4 * len(DATA)
    for reference in found:
        place = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
    # Nothing in it changes what they are relative to.
    assert "$id" not in json.dumps(document["components"]["schemas"])


@pytest.mark.parametrize("kind", DATA)
def test_messages_in_the_channels_document_validate_their_examples(kind):
    document = contract.asyncapi()
    (message,) = (m for m in document["components"]["messages"].values() if m["name"] == kind)
    check = Draft202012Validator(document | message["payload"], format_checker=CHECKER)
    body = message["examples"][0]["payload"]
    check.validate(body)
    assert not check.is_valid(body | {"data": {}})


def test_the_availability_of_mqtt_is_a_channel_of_its_own():
    document = contract.asyncapi()
    broker = Broker("broker", 1883, "vigie", None, None, None)
    assert document["channels"]["status"]["address"] == broker.status
    mqtt = document["operations"]["tell_status"]["bindings"]["mqtt"]
    assert (mqtt["qos"], mqtt["retain"]) == (1, True)


def test_the_context_that_a_town_serves_is_the_one_in_use():
    served = json.loads(contract.documents()["ngsi-context.jsonld"])
    assert served == json.loads((ROOT / "services" / "ngsi-context.jsonld").read_text())

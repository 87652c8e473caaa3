import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from services import event_types as types
from services import ngsi
from services.event_examples import example
from services.event_types import DATA, changed, recorded, withdrawn
from services.events import Event, Evidence, Observation

NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)
SOURCE = "/territories/t/sites/s"
FOLDER = Path(__file__).parents[2] / "docs" / "ngsi"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
# What the core context names, of what entities hold.
CORE = {"id", "type", "value", "object", "observedAt", "unitCode", "status", "location"}
GEOMETRY = {"coordinates", "@type", "@value"}


def seen(quantity, value, unit="1", asset="urn:vigie:t:s:A-1", at=NOON, **more):
    fields = {
        "work": "w" * 32,
        "camera": "cam",
        "time_source": "key",
        "evidence": Evidence(key="cam/a.jpg", sha256="0" * 64, polygon=(), redactor="privacy@0"),
        "model": f"{quantity.partition('.')[0]}@abc",
        "reason": "dark" if value is None else None,
    }
    known = {"asset": asset, "quantity": quantity, "value": value, "unit": unit}
    return Observation(**fields | known | {"observed_at": at} | more)


def told(*args, **more):
    """The entity that an observation makes, without its model."""
    made = ngsi.entities(recorded(seen(*args, **more), SOURCE))
    return next(entity for entity in made if entity["type"] != "MLModel")


VALIDATORS = {
    name: Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker())
    for name, schema in SCHEMAS.items()
}


def check(entity):
    """Against the schema of its type, which holds nothing that the schema does not name."""
    VALIDATORS[entity["type"]].validate(entity)
    assert entity.keys() <= SCHEMAS[entity["type"]]["properties"].keys()


QUANTITIES = [
    ("waste.overflow", "1", "WasteContainer"),
    ("waste.fill_level", "1", "WasteContainer"),
    ("occupancy.count", "{vehicle}", "OffStreetParking"),
    ("occupancy.count", "{cycle}", "OffStreetParking"),
    ("occupancy.count", "{person}", "CrowdFlowObserved"),
    ("occupancy.share", "1", "OffStreetParking"),
    ("occupancy.length", "m", "OffStreetParking"),
    ("occupancy.taken", "1", "ParkingSpot"),
    ("occupancy.use", "1", "CrowdFlowObserved"),
    ("vegetation.height", "m", "GreenspaceRecord"),
    ("vegetation.cover", "1", "GreenspaceRecord"),
    ("vegetation.over", "1", "GreenspaceRecord"),
    ("vegetation.unmown", "1", "GreenspaceRecord"),
    ("vegetation.encroachment", "m", "GreenspaceRecord"),
    ("vegetation.vigour", "1", "GreenspaceRecord"),
    ("vegetation.dryness", "1", "GreenspaceRecord"),
    ("vegetation.grass", "cm", "GreenspaceRecord"),
    ("vegetation.growth", "1", "GreenspaceRecord"),
    ("site.view.lost", "1", "Camera"),
]


# What an asset is may make it another entity: quantity, unit, kind of asset, type.
KINDS = [
    ("waste.overflow", "1", "isle", "WasteContainerIsle"),
    ("waste.fill_level", "1", "isle", "WasteContainerIsle"),
    ("waste.overflow", "1", "square", "WasteContainer"),  # whatever an operator calls it
    ("occupancy.count", "{vehicle}", "street-parking", "OnStreetParking"),
    ("occupancy.share", "1", "street-parking", "OnStreetParking"),
    ("occupancy.share", "1", "car-park", "OffStreetParking"),
    ("occupancy.share", "1", "pitch", "CrowdFlowObserved"),
    ("vegetation.height", "m", "parcel", "GreenspaceRecord"),
    ("vegetation.growth", "1", "lawn", "GreenspaceRecord"),
]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_is_one(schema):
    Draft202012Validator.check_schema(schema)


# An observation told what these settle, or they tell of no asset.
SKIPPED = {
    *(types.STALL_TAKEN, types.STALL_FREED, types.USE_STARTED, types.USE_ENDED),
    *(types.OCCUPANCY_CHANGED, types.IMAGE_QUARANTINED),
}


@pytest.mark.parametrize("kind", DATA)
def test_every_type_of_event_has_valid_entities_or_is_skipped_on_purpose(kind):
    made = ngsi.entities(example(kind))
    assert bool(made) == (kind not in SKIPPED)
    for entity in made:
        check(entity)


@pytest.mark.parametrize(("quantity", "unit", "kind"), QUANTITIES)
@pytest.mark.parametrize("value", [0.0, 1.0, None])
def test_every_quantity_has_a_valid_entity_known_or_not(quantity, unit, kind, value):
    entity = told(quantity, value, unit)
    assert entity["type"] == kind
    assert entity["id"] == f"urn:ngsi-ld:{kind}:t:s:A-1"
    assert entity["asset"]["value"] == "urn:vigie:t:s:A-1"
    check(entity)


@pytest.mark.parametrize("quantity", ["waste.dump", "waste.dirty", "noise.level"])
def test_what_is_no_asset_or_of_another_purpose_has_no_entity(quantity):
    assert ngsi.entities(recorded(seen(quantity, 0.5), SOURCE)) == []


@pytest.mark.parametrize(("quantity", "unit", "kind"), QUANTITIES)
def test_unknown_has_a_reason_and_neither_a_number_nor_a_good_word(quantity, unit, kind):
    known, unknown = told(quantity, 0.0, unit), told(quantity, None, unit)
    gone = known.keys() - unknown.keys()
    numbers = {n for n, attribute in known.items() if "unitCode" in attribute}
    assert gone == numbers  # what stands in the broker keeps its value, and its time
    (status,) = (n for n in unknown if n.endswith("tatus"))
    assert unknown[status]["value"] == "unknown"
    assert unknown[status]["unknownReason"]["value"] == "dark"
    assert unknown[status]["observedAt"] == "2026-06-12T12:00:00Z"


def test_a_number_has_its_time_unit_interval_and_where_it_comes_from():
    entity = told("occupancy.count", 12.0, "{person}", low=10.0, high=15.0, confidence=0.7)
    assert entity["peopleCount"] == {
        "type": "Property",
        "value": 12,
        "unitCode": "C62",
        "ucum": {"type": "Property", "value": "{person}"},
        "observedAt": "2026-06-12T12:00:00Z",
        "confidence": {"type": "Property", "value": 0.7},
        "low": {"type": "Property", "value": 10.0},
        "high": {"type": "Property", "value": 15.0},
        "camera": {"type": "Relationship", "object": "urn:ngsi-ld:Camera:t:s:view:cam"},
        "evidence": {"type": "Property", "value": "cam/a.jpg"},
        "model": {"type": "Relationship", "object": "urn:ngsi-ld:MLModel:occupancy:abc"},
    }
    assert isinstance(entity["peopleCount"]["value"], int)
    assert entity["dateObserved"]["value"]["@value"] == "2026-06-12T12:00:00Z"


def test_the_model_that_looked_is_an_entity_and_a_sensor_is_none():
    _, model = ngsi.entities(recorded(seen("waste.overflow", 0.5), SOURCE))
    assert (model["name"]["value"], model["version"]["value"]) == ("waste", "abc")
    assert told("waste.overflow", 0.5)["overflow"]["model"]["object"] == model["id"]
    sensor = {"time_source": "sensor", "evidence": None, "camera": None, "model": "ultrasonic-17@2"}
    (container,) = ngsi.entities(recorded(seen("waste.fill_level", 0.4, **sensor), SOURCE))
    assert container["fillingLevel"]["sensor"]["value"] == "ultrasonic-17@2"
    check(container)


def test_an_overflow_that_was_seen_is_no_filling_level():
    assert not {"fillingLevel", "fillingLevelStatus"} & told("waste.overflow", 0.9).keys()


def test_a_few_people_are_a_range_and_no_number():
    few = {"low": 0.0, "high": 4.0, "reason": "below_min_count"}
    entity = told("occupancy.count", None, "{person}", **few)
    assert "peopleCount" not in entity
    status = entity["peopleCountStatus"]
    assert (status["value"], status["unknownReason"]["value"]) == ("range", "below_min_count")
    assert (status["low"]["value"], status["high"]["value"]) == (0, 4)
    check(entity)


def test_a_car_park_beyond_its_capacity_is_full_and_says_by_how_much():
    entity = told("occupancy.share", 1.25, low=1.1, high=1.4)
    assert entity["occupancy"]["value"] == 1
    assert entity["occupancy"]["share"]["value"] == 1.25
    check(entity)


@pytest.mark.parametrize(
    ("quantity", "name", "likely", "unlikely"),
    [
        ("occupancy.taken", "status", "occupied", "free"),
        ("occupancy.use", "useStatus", "inUse", "notInUse"),
        ("site.view.lost", "viewStatus", "lost", "seen"),
    ],
)
def test_a_probability_becomes_the_likelier_word(quantity, name, likely, unlikely):
    for value, word in ((0.9, likely), (0.5, likely), (0.49, unlikely)):
        entity = told(quantity, value)
        assert (entity[name]["value"], entity[name]["probability"]["value"]) == (word, value)


def test_an_alert_begins_ends_and_is_withdrawn_as_one_entity():
    since = NOON - timedelta(hours=2)
    start = changed(types.OVERFLOW_STARTED, seen("waste.overflow", 0.9), SOURCE, since=since)
    bounds = {"since": since, "until": NOON}
    end = changed(types.OVERFLOW_ENDED, seen("waste.overflow", 0.1), SOURCE, **bounds)
    back = withdrawn(end.id, end.type, end.subject, end.time, SOURCE)
    never = withdrawn(start.id, start.type, start.subject, start.time, SOURCE)
    alerts = [ngsi.entities(event)[0] for event in (start, end, back, never)]
    assert {alert["id"] for alert in alerts} == {"urn:ngsi-ld:Alert:t:s:A-1:waste.overflow"}
    assert [alert["status"]["value"] for alert in alerts] == [
        "active",
        "ended",
        "active",  # the end did not hold
        "withdrawn",
    ]
    assert alerts[0]["alertSource"]["object"] == told("waste.overflow", 0.9)["id"]
    assert alerts[1]["validFrom"]["value"]["@value"] == "2026-06-12T10:00:00Z"
    assert alerts[1]["validTo"]["value"]["@value"] == "2026-06-12T12:00:00Z"
    for alert in alerts:
        check(alert)


def test_taking_back_what_is_no_alert_says_nothing_of_what_was_observed():
    back = withdrawn("0" * 32, types.STALL_TAKEN, "urn:vigie:t:s:A-1", NOON, SOURCE)
    assert ngsi.entities(back) == []


def test_a_container_that_nobody_registered_stands_where_it_was_seen():
    place = {"asset": "urn:vigie:t:s:unregistered:earth:-671.9545", "position": (-3.36, 47.73)}
    found = seen("waste.container", 0.8, **place)
    entity, _ = ngsi.entities(changed(types.CONTAINER_FOUND, found, SOURCE, since=NOON))
    assert entity["registered"]["value"] is False
    assert entity["location"]["value"]["coordinates"] == [-3.36, 47.73]
    check(entity)


def test_an_asset_with_an_entity_of_its_own_keeps_its_id():
    own = "urn:ngsi-ld:WasteContainer:12"
    assert told("waste.overflow", 0.5, asset=own)["id"] == own
    assert told("occupancy.taken", 0.5, asset=own)["id"] == f"urn:ngsi-ld:ParkingSpot:{own}"


def names(part):
    for name, value in part.items():
        yield name
        yield from names(value) if isinstance(value, dict) else ()


def everything():
    events = [example(kind) for kind in DATA]
    for quantity, unit, _ in QUANTITIES:
        events += [recorded(seen(quantity, value, unit), SOURCE) for value in (0.5, None)]
    for quantity, unit, kind, _ in KINDS:
        events.append(recorded(seen(quantity, 0.5, unit, kind=kind), SOURCE))
    sensor = {"time_source": "sensor", "evidence": None, "low": 0.1, "high": 0.8}
    events.append(recorded(seen("waste.fill_level", 0.4, **sensor), SOURCE))
    return [entity for event in events for entity in ngsi.entities(event)]


def test_the_context_explains_every_term_and_none_in_vain():
    used = {entity["type"] for entity in everything()}
    used |= {name for entity in everything() for name in names(entity)}
    assert used - CORE - GEOMETRY == ngsi.TERMS.keys()
    for entity in everything():
        own, core = ngsi.in_context(entity)["@context"]
        assert own.keys() == ({entity["type"]} | set(names(entity))) - CORE - GEOMETRY
        assert core == ngsi.CORE_CONTEXT
    url = "https://town.example/vigie.jsonld"
    assert ngsi.in_context(entity, url)["@context"] == [url, ngsi.CORE_CONTEXT]
    assert "@context" not in entity


@given(
    st.sampled_from(QUANTITIES),
    st.one_of(st.none(), st.floats(0, 1)),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_the_same_event_always_makes_the_same_valid_entities(row, value, at):
    quantity, unit, _ = row
    event = recorded(seen(quantity, value, unit, at=at), SOURCE)
    made = ngsi.entities(event)
    assert json.dumps(made) == json.dumps(ngsi.entities(event))
    assert made == ngsi.entities(Event.model_validate_json(event.numbered(3).json_line()))
    for entity in made:
        check(entity)

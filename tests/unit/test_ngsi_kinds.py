"""What an asset is, a hint and a purpose: entities of their own."""

from datetime import timedelta

import pytest

from services import event_types as types
from services import ngsi
from services.event_types import changed, recorded, withdrawn
from tests.unit.test_ngsi import KINDS, NOON, SOURCE, check, seen, told


@pytest.mark.parametrize(("quantity", "unit", "asset_kind", "kind"), KINDS)
@pytest.mark.parametrize("value", [0.0, 1.0, None])
def test_the_kind_of_an_asset_chooses_the_model_that_fits(quantity, unit, asset_kind, kind, value):
    entity = told(quantity, value, unit, kind=asset_kind)
    assert (entity["type"], entity["id"]) == (kind, f"urn:ngsi-ld:{kind}:t:s:A-1")
    check(entity)


@pytest.mark.parametrize(
    ("started", "quantity", "asset_kind", "source"),
    [
        (types.OVERFLOW_STARTED, "waste.overflow", "isle", "WasteContainerIsle"),
        (types.OCCUPANCY_FULL, "occupancy.share", "street-parking", "OnStreetParking"),
    ],
)
def test_an_alert_is_of_the_entity_that_holds_what_was_seen(started, quantity, asset_kind, source):
    event = changed(started, seen(quantity, 0.97, kind=asset_kind), SOURCE, since=NOON)
    alert, _ = ngsi.entities(event)
    assert alert["alertSource"]["object"] == f"urn:ngsi-ld:{source}:t:s:A-1"
    check(alert)


def test_a_square_s_share_and_its_alert_are_those_of_the_crowd_and_not_of_a_car_park():
    square = seen("occupancy.share", 0.97, kind="square")
    (entity, _) = ngsi.entities(recorded(square, SOURCE))
    assert (entity["type"], entity["occupancy"]["value"]) == ("CrowdFlowObserved", 0.97)
    check(entity)
    full = types.changed(types.OCCUPANCY_FULL, square, SOURCE, since=square.observed_at)
    back = types.withdrawn(full.id, full.type, full.subject, full.time, SOURCE, "square")
    for event in (full, back):
        alert = ngsi.entities(event)[0]
        assert alert["alertSource"]["object"] == entity["id"]
        check(alert)


@pytest.mark.parametrize(
    ("quantity", "unit", "asset_kind", "known"),
    [
        ("vegetation.height", "m", "parcel", True),
        ("vegetation.growth", "1", "lawn", True),
        ("vegetation.encroachment", "m", "clearance", False),
        ("vegetation.grass", "cm", "gauge", False),
    ],
)
def test_a_parcel_and_a_lawn_are_gardens_that_their_record_names(quantity, unit, asset_kind, known):
    made = ngsi.entities(recorded(seen(quantity, 0.5, unit, kind=asset_kind), SOURCE))
    gardens = [entity for entity in made if entity["type"] == "Garden"]
    assert bool(gardens) == known == ("refGreenspace" in made[0])
    for garden in gardens:
        assert made[0]["refGreenspace"]["object"] == garden["id"]
        check(garden)


def test_a_hint_is_an_anomaly_and_no_alert():
    since = NOON - timedelta(hours=2)
    dry = seen("vegetation.dryness", 0.4, kind="parcel")
    start = changed(types.DRYNESS_STARTED, dry, SOURCE, since=since)
    end = changed(types.DRYNESS_ENDED, dry, SOURCE, since=since, until=NOON)
    back = withdrawn(start.id, start.type, start.subject, start.time, SOURCE, "parcel")
    made = [ngsi.entities(event)[0] for event in (start, end, back)]
    assert {one["id"] for one in made} == {"urn:ngsi-ld:Anomaly:t:s:A-1:vegetation.dryness"}
    assert [one["status"]["value"] for one in made] == ["active", "ended", "withdrawn"]
    assert made[0]["dateDetected"]["value"]["@value"] == "2026-06-12T10:00:00Z"
    assert made[0]["detectedBy"]["object"] == told("vegetation.dryness", 0.4)["id"]
    for one in made:
        check(one)


def test_what_a_site_declares_of_its_purposes_is_told_by_every_batch():
    purposes = {
        "waste": types.Declared(
            legal_basis="public_task", images_days=30, events_days=1095, notice="https://t.example"
        ),
        "occupancy": types.Declared(
            legal_basis="consent", images_days=1, events_days=365, notice="Panneau sur place"
        ),
    }
    event = types.completed("b1", {"redacted": 1}, NOON, SOURCE, purposes)
    waste, occupancy = ngsi.entities(event)
    assert waste["id"] == "urn:ngsi-ld:PrivacyObject:t:s:waste"
    values = {name: one["value"] for name, one in waste.items() if name not in ("id", "type")}
    assert values == {
        "purpose": "waste",
        "legalBasis": "public_task",
        "retentionPeriod": "P30D",
        "eventRetentionPeriod": "P1095D",
        "notice": "https://t.example",
    }
    for one in (waste, occupancy):
        check(one)
        assert one["type"] in ngsi.REPLACED  # the last batch says what is declared now
    # As batches were told before.
    old = event.model_copy(update={"data": {"batch": "b1", "counts": {}}})
    assert ngsi.entities(old) == []

"""NGSI-LD: from events to the entities that a town's context broker holds.

After ETSI GS CIM 009 (NGSI-LD API, v1.8) and, as far as they reach, the Smart Data Models. What is
an asset's says what was last *observed* of it; an `Alert` says what was *judged*, and is told whole
every time. So nothing has two authors, and each has an order of its own: observations that of
their time, judgements that in which they are told.

| told by | entity | attributes |
|---|---|---|
| `waste.overflow` | `WasteContainer` | `overflow`, a probability |
| `waste.fill_level` | `WasteContainer` | `fillingLevel`: only what was measured |
| `vigie.waste.container.found.v1` | `WasteContainer` | `registered` false, `location` |
| `occupancy.count` in `{vehicle}` or `{cycle}` | `OffStreetParking` | `occupiedSpotNumber` |
| `occupancy.share` | as the count | `occupancy`, 1 at most; `share` below it is what it is |
| the same of a `street-parking` | `OnStreetParking` | as the car park's |
| `occupancy.length` | `OffStreetParking` | `queueLength` |
| `occupancy.taken` | `ParkingSpot` | `status` |
| `occupancy.count` in `{person}` | `CrowdFlowObserved` | `peopleCount` |
| `occupancy.use` | `CrowdFlowObserved` | `useStatus` |
| what is a container's of an `isle` | `WasteContainerIsle` | as the container's |
| `vegetation.*` of a `parcel` or `lawn` | `Garden` | none: `refGreenspace` of the record names it |
| `vegetation.*` | `GreenspaceRecord` | `grassHeight`, `vegetationHeight`, `dryness`, … |
| `site.view.lost` | `Camera` | `viewStatus` |
| what began, ended or was withdrawn, but for `SKIPPED` | `Alert` | `status`, `validFrom`, … |
| `vegetation.dryness`, a hint, likewise | `Anomaly` | `status`, `dateDetected`, … |
| a purpose of the site, by every batch | `PrivacyObject` | `retentionPeriod`, `notice`, … |
| whatever looked | `MLModel` | `name`, `version` |

A queue of vehicles is an `OffStreetParking`, too, for the models have none; a cycle park is one for
bicycles. Events do not say where an asset stands or how much it holds: `location`,
`totalSpotNumber` and the like are the town's to add. All but `REPLACED` are updated.

NGSI-LD has no null that brokers agree on. So beside every number stands `<name>Status`: `measured`,
`range` (only `low` and `high` may be told) or `unknown` with an `unknownReason`. The number itself
then stays with its old `observedAt`: it is never told anew.

No entity has: waste beside no container and dirty views (`waste.dump`, `waste.dirty`), which are
sightings, not assets; what purposes measure that are not named above; and the events in `SKIPPED`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from services import event_types as types
from services.events import Event
from services.ngsi_models import CHANGES, GARDENS, KINDS, NUMBERS, STATES, Condition

Entity = dict[str, Any]
"""An NGSI-LD entity, normalized (clause 4.5.1), without its @context."""

CORE_CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
TERMS: Mapping[str, str] = json.loads(
    Path(__file__).with_name("ngsi-context.jsonld").read_text(encoding="utf-8")
)["@context"]
"""Term → what it stands for, beside those of the core context. A town may serve the file."""

REPLACED = frozenset({"Alert", "Anomaly", "PrivacyObject"})
"""Types whose entities an event tells whole: what one does not hold is over."""

SKIPPED = frozenset(
    {
        # What they settle was recorded before, and stands in the asset's entity.
        *(types.STALL_TAKEN, types.STALL_FREED, types.USE_STARTED, types.USE_ENDED),
        types.OCCUPANCY_CHANGED,
        types.IMAGE_QUARANTINED,  # it tells of a picture, of no asset
    }
)
"""Types of events that no entity tells of."""

_ONE = "C62"  # UN/CEFACT Recommendation 20: counts and ratios
_CODES = {"m": "MTR", "cm": "CMT"}  # of the same, by UCUM unit


def entities(event: Event) -> list[Entity]:
    """What an event says of entities; the same for the same event, always.

    Ids are `urn:ngsi-ld:<type>:<what follows urn:vigie: in the asset's URN>`; an asset whose own
    URN already begins with `urn:ngsi-ld:<type>:` keeps it. Times are the event's (UTC), units
    UN/CEFACT codes in `unitCode` and UCUM in `ucum`, intervals hold 90 %.
    """
    if event.type in SKIPPED:
        return []
    if event.type == types.BATCH_COMPLETED:
        return list(_declared(event))
    if event.type == types.EVENT_WITHDRAWN:
        change = CHANGES.get(event.data["type"])
        if change is None:
            return []
        condition, status = change
        # What an end is taken back from goes on.
        return [_alert(event, condition, "active" if status == "ended" else "withdrawn")]
    if event.type in CHANGES:
        told = [_alert(event, *CHANGES[event.type])]
    elif event.type == types.CONTAINER_FOUND:
        told = [_found(event)]
    else:
        told = list(_observed(event))
    return [*told, *_model(event.data)] if told else []


def in_context(entity: Entity, url: str | None = None) -> Entity:
    """An entity with its @context: the terms it uses or, where given, the `url` that serves all.

    The core context comes last, as clause 4.4 asks.
    """
    used = {entity["type"], *_names(entity)}
    own = url or {term: iri for term, iri in TERMS.items() if term in used}
    return {"@context": [own, CORE_CONTEXT]} | entity


def _names(part: Entity) -> Iterator[str]:
    for name, value in part.items():
        yield name
        if isinstance(value, dict):
            yield from _names(value)


def _entity(kind: str, asset: str, **attributes: Any) -> Entity:
    return {"id": _id(kind, asset), "type": kind, "asset": _property(asset)} | attributes


def _id(kind: str, asset: str) -> str:
    own = f"urn:ngsi-ld:{kind}:"
    return asset if asset.startswith(own) else own + asset.removeprefix("urn:vigie:")


def _property(value: Any, **more: Any) -> Entity:
    return {"type": "Property", "value": value} | more


def _number(value: float, unit: str, **more: Any) -> Entity:
    figure = round(value) if unit.startswith("{") else value
    return _property(figure, unitCode=_CODES.get(unit, _ONE), ucum=_property(unit), **more)


def _time(instant: str) -> Entity:
    return _property({"@type": "DateTime", "@value": instant})


def _relationship(entity: str) -> Entity:
    return {"type": "Relationship", "object": entity}


def _about(event: Event) -> dict[str, Any]:
    """How well something is known, since when, and from what."""
    data = event.data
    about: dict[str, Any] = {"observedAt": data["observed_at"]}
    about |= {n: _property(data[n]) for n in ("confidence", "low", "high") if n in data}
    if "reason" in data:
        about["unknownReason"] = _property(data["reason"])
    if "camera" in data:
        territory, site = event.source.split("/")[2::2]  # /territories/T/sites/S
        view = f"urn:vigie:{territory}:{site}:view:{data['camera']}"
        about["camera"] = _relationship(_id("Camera", view))
    if data["time_source"] == "sensor":
        return about | {"sensor": _property(data["model"])}
    about["evidence"] = _property(data["evidence"]["key"])
    return about | {"model": _relationship(_model_id(data["model"]))}


def _observed(event: Event) -> Iterator[Entity]:
    """The entity of what was observed, with what this observation says of it, and its garden."""
    data = event.data
    if (state := STATES.get(data["quantity"])) is not None:
        kind, *words = state
        attributes = _state(event, *words)
    elif (number := NUMBERS.get((data["quantity"], data["unit"]))) is not None:
        kind, name = number
        attributes = _figure(event, name)
    else:
        return
    kind = KINDS.get((kind, data.get("kind", "")), kind)
    if kind == "CrowdFlowObserved":
        attributes["dateObserved"] = _time(data["observed_at"])
    if kind == "Camera" and "camera" in data:
        attributes["cameraName"] = _property(data["camera"])
    if data["unit"] == "{cycle}":
        attributes["allowedVehicleType"] = _property(["bicycle", "motorcycle"])
    gardens = []
    if kind == "GreenspaceRecord" and data.get("kind") in GARDENS:
        gardens = [_entity("Garden", data["asset"])]
        attributes["refGreenspace"] = _relationship(gardens[0]["id"])
    yield from (_entity(kind, data["asset"], **attributes), *gardens)


def _state(event: Event, name: str, likely: str, unlikely: str) -> dict[str, Any]:
    about, value = _about(event), event.data["value"]
    if value is None:
        return {name: _property("unknown", **about)}
    about["probability"] = _property(value, unitCode=_ONE)
    return {name: _property(likely if value >= 0.5 else unlikely, **about)}


def _figure(event: Event, name: str) -> dict[str, Any]:
    data, about = event.data, _about(event)
    value, unit = data["value"], data["unit"]
    if value is None:
        word = "range" if "high" in data else "unknown"
        return {f"{name}Status": _property(word, **about)}
    if name == "occupancy":  # the model ends at 1, cars do not
        about["share"] = _number(value, unit)
        value = min(value, 1)
    measured = _property("measured", observedAt=data["observed_at"])
    return {name: _number(value, unit, **about), f"{name}Status": measured}


def _found(event: Event) -> Entity:
    data, about = event.data, _about(event)
    about["probability"] = _property(data["value"], unitCode=_ONE)
    entity = _entity("WasteContainer", data["asset"], registered=_property(False, **about))
    if "position" in data:
        point = {"type": "Point", "coordinates": data["position"]}
        entity["location"] = {"type": "GeoProperty", "value": point}
    return entity


def _alert(event: Event, condition: Condition, status: str) -> Entity:
    """The alert or anomaly of an asset and a condition: one, which begins and ends again."""
    time = event.model_dump(mode="json", include={"time"})["time"]
    about = {"observedAt": time} if event.type == types.EVENT_WITHDRAWN else _about(event)
    kind = KINDS.get((condition.about, event.data.get("kind", "")), condition.about)
    source = _relationship(_id(kind, event.subject))
    if condition.category is None:
        detected = {"detectedBy": source, "dateDetected": _time(event.data.get("since", time))}
        own = detected | {"anomalousProperty": _property(condition.name.partition(".")[2])}
    else:
        own = {"category": _property(condition.category), "alertSource": source}
        own["dateIssued"] = _time(time)
    alert = _entity(
        "Anomaly" if condition.category is None else "Alert",
        event.subject,
        condition=_property(condition.name),
        status=_property(status, **about),
        **own,
    )
    alert["id"] += f":{condition.name}"
    bounds = {"validFrom": "since", "validTo": "until"}
    return alert | {name: _time(event.data[n]) for name, n in bounds.items() if n in event.data}


def _declared(event: Event) -> Iterator[Entity]:
    """What a site declares of each of its purposes."""
    territory, site = event.source.split("/")[2::2]
    for purpose, said in event.data.get("purposes", {}).items():
        yield {
            "id": f"urn:ngsi-ld:PrivacyObject:{territory}:{site}:{purpose}",
            "type": "PrivacyObject",
            "purpose": _property(purpose),
            "legalBasis": _property(said["legal_basis"]),
            "retentionPeriod": _property(f"P{said['images_days']}D"),  # ISO 8601
            "eventRetentionPeriod": _property(f"P{said['events_days']}D"),
            "notice": _property(said["notice"]),
        }


def _model_id(model: str) -> str:
    return f"urn:ngsi-ld:MLModel:{model.replace('@', ':')}"


def _model(data: Mapping[str, Any]) -> Iterator[Entity]:
    """The model that looked; a sensor is none."""
    if data["time_source"] != "sensor":
        name, _, digest = data["model"].partition("@")
        entity = {"id": _model_id(data["model"]), "type": "MLModel"}
        yield entity | {"name": _property(name), "version": _property(digest)}

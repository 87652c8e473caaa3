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
| `occupancy.taken` | `ParkingSpot` | `status` |
| `occupancy.count` in `{person}` | `CrowdFlowObserved` | `peopleCount` |
| `occupancy.use` | `CrowdFlowObserved` | `useStatus` |
| `vegetation.*` | `GreenspaceRecord` | `grassHeight`, `vegetationHeight`, `dryness`, … |
| `site.view.lost` | `Camera` | `viewStatus` |
| what began, ended or was withdrawn, but for `SKIPPED` | `Alert` | `status`, `validFrom`, … |
| whatever looked | `MLModel` | `name`, `version` |

A queue of vehicles is an `OffStreetParking`, too, for the models have none; a cycle park is one for
bicycles. Events do not say where an asset stands or how much it holds: `location`,
`totalSpotNumber` and the like are the town's to add. All but alerts are updated, never replaced.

NGSI-LD has no null that brokers agree on. So beside every number stands `<name>Status`: `measured`,
`range` (only `low` and `high` may be told) or `unknown` with an `unknownReason`. The number itself
then stays with its old `observedAt`: it is never told anew.

No entity has: waste beside no container and dirty views (`waste.dump`, `waste.dirty`), which are
sightings, not assets; what purposes measure that are not named above; and the events in `SKIPPED`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from services import event_types as types
from services.events import Event
from services.judgement import LOST_VIEW

Entity = dict[str, Any]
"""An NGSI-LD entity, normalized (clause 4.5.1), without its @context."""

CORE_CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
TERMS: Mapping[str, str] = json.loads(
    Path(__file__).with_name("ngsi-context.jsonld").read_text(encoding="utf-8")
)["@context"]
"""Term → what it stands for, beside those of the core context. A town may serve the file."""

REPLACED = frozenset({"Alert"})
"""Types whose entities an event tells whole: what one does not hold is over."""

SKIPPED = frozenset(
    {
        # What they settle was recorded before, and stands in the asset's entity.
        *(types.STALL_TAKEN, types.STALL_FREED, types.USE_STARTED, types.USE_ENDED),
        types.OCCUPANCY_CHANGED,
        # They tell of pictures and of work, of no asset.
        *(types.IMAGE_QUARANTINED, types.BATCH_COMPLETED),
    }
)
"""Types of events that no entity tells of."""

_ONE = "C62"  # UN/CEFACT Recommendation 20: counts and ratios
_CODES = {"m": "MTR", "cm": "CMT"}  # of the same, by UCUM unit


class _Condition(NamedTuple):
    """A condition that alerts tell of: its name, its category, and the type of what it is about."""

    name: str
    category: str
    about: str


_OVERFLOW = _Condition("waste.overflow", "environment", "WasteContainer")
_FULL = _Condition("occupancy.full", "traffic", "OffStreetParking")
_MOWING = _Condition("vegetation.mowing", "environment", "GreenspaceRecord")
_PRUNING = _Condition("vegetation.pruning", "environment", "GreenspaceRecord")
_ENCROACHMENT = _Condition("vegetation.encroachment", "environment", "GreenspaceRecord")
_DRYNESS = _Condition("vegetation.dryness", "environment", "GreenspaceRecord")
_LOST = _Condition(LOST_VIEW, "security", "Camera")
_ALERTS: Mapping[str, tuple[_Condition, str]] = {
    types.OVERFLOW_STARTED: (_OVERFLOW, "active"),
    types.OVERFLOW_ENDED: (_OVERFLOW, "ended"),
    types.OCCUPANCY_FULL: (_FULL, "active"),
    types.OCCUPANCY_AVAILABLE: (_FULL, "ended"),
    types.MOWING_DUE: (_MOWING, "active"),
    types.MOWING_DONE: (_MOWING, "ended"),
    types.PRUNING_DUE: (_PRUNING, "active"),
    types.PRUNING_DONE: (_PRUNING, "ended"),
    types.ENCROACHMENT_STARTED: (_ENCROACHMENT, "active"),
    types.ENCROACHMENT_ENDED: (_ENCROACHMENT, "ended"),
    types.DRYNESS_STARTED: (_DRYNESS, "active"),
    types.DRYNESS_ENDED: (_DRYNESS, "ended"),
    types.VIEW_LOST: (_LOST, "active"),
    types.VIEW_RESTORED: (_LOST, "ended"),
}

# Quantity and unit → type and attribute.
_NUMBERS = {
    ("waste.overflow", "1"): ("WasteContainer", "overflow"),
    ("waste.fill_level", "1"): ("WasteContainer", "fillingLevel"),
    ("occupancy.count", "{vehicle}"): ("OffStreetParking", "occupiedSpotNumber"),
    ("occupancy.count", "{cycle}"): ("OffStreetParking", "occupiedSpotNumber"),
    ("occupancy.count", "{person}"): ("CrowdFlowObserved", "peopleCount"),
    ("occupancy.share", "1"): ("OffStreetParking", "occupancy"),
    ("vegetation.height", "m"): ("GreenspaceRecord", "vegetationHeight"),
    ("vegetation.cover", "1"): ("GreenspaceRecord", "vegetationCover"),
    ("vegetation.over", "1"): ("GreenspaceRecord", "tallShare"),
    ("vegetation.encroachment", "m"): ("GreenspaceRecord", "encroachmentHeight"),
    ("vegetation.vigour", "1"): ("GreenspaceRecord", "vigour"),
    ("vegetation.dryness", "1"): ("GreenspaceRecord", "dryness"),
    ("vegetation.grass", "cm"): ("GreenspaceRecord", "grassHeight"),
    ("vegetation.growth", "1"): ("GreenspaceRecord", "growthIndex"),
}
_CROWDED = ("square", "pitch")  # kinds of assets where people are counted
# Quantity → type, attribute, and its value where the quantity is likely, and where not.
_STATES = {
    "occupancy.taken": ("ParkingSpot", "status", "occupied", "free"),
    "occupancy.use": ("CrowdFlowObserved", "useStatus", "inUse", "notInUse"),
    LOST_VIEW: ("Camera", "viewStatus", "lost", "seen"),
}


def entities(event: Event) -> list[Entity]:
    """What an event says of entities; the same for the same event, always.

    Ids are `urn:ngsi-ld:<type>:<what follows urn:vigie: in the asset's URN>`; an asset whose own
    URN already begins with `urn:ngsi-ld:<type>:` keeps it. Times are the event's (UTC), units
    UN/CEFACT codes in `unitCode` and UCUM in `ucum`, intervals hold 90 %.
    """
    if event.type in SKIPPED:
        return []
    if event.type == types.EVENT_WITHDRAWN:
        alert = _ALERTS.get(event.data["type"])
        if alert is None:
            return []
        condition, status = alert
        # What an end is taken back from goes on.
        return [_alert(event, condition, "active" if status == "ended" else "withdrawn")]
    if event.type in _ALERTS:
        told: Entity | None = _alert(event, *_ALERTS[event.type])
    elif event.type == types.CONTAINER_FOUND:
        told = _found(event)
    else:
        told = _observed(event)
    return [] if told is None else [told, *_model(event.data)]


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


def _observed(event: Event) -> Entity | None:
    """The entity of what was observed, with what this observation says of it."""
    data = event.data
    if (state := _STATES.get(data["quantity"])) is not None:
        kind, *words = state
        attributes = _state(event, *words)
    elif (number := _NUMBERS.get((data["quantity"], data["unit"]))) is not None:
        kind, name = number
        if kind == "OffStreetParking" and data.get("kind") in _CROWDED:
            kind = "CrowdFlowObserved"
        attributes = _figure(event, name)
    else:
        return None
    if kind == "CrowdFlowObserved":
        attributes["dateObserved"] = _time(data["observed_at"])
    if kind == "Camera" and "camera" in data:
        attributes["cameraName"] = _property(data["camera"])
    if data["unit"] == "{cycle}":
        attributes["allowedVehicleType"] = _property(["bicycle", "motorcycle"])
    return _entity(kind, data["asset"], **attributes)


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


def _alert(event: Event, condition: _Condition, status: str) -> Entity:
    """The alert of an asset and a condition: there is one, which begins and ends again."""
    time = event.model_dump(mode="json", include={"time"})["time"]
    back = event.type == types.EVENT_WITHDRAWN
    about = {"observedAt": time} if back else _about(event)
    about_kind = "CrowdFlowObserved" if event.data.get("kind") in _CROWDED else condition.about
    alert = _entity(
        "Alert",
        event.subject,
        condition=_property(condition.name),
        category=_property(condition.category),
        alertSource=_relationship(_id(about_kind, event.subject)),
        dateIssued=_time(time),
        status=_property(status, **about),
    )
    alert["id"] += f":{condition.name}"
    bounds = {"validFrom": "since", "validTo": "until"}
    return alert | {name: _time(event.data[n]) for name, n in bounds.items() if n in event.data}


def _model_id(model: str) -> str:
    return f"urn:ngsi-ld:MLModel:{model.replace('@', ':')}"


def _model(data: Mapping[str, Any]) -> Iterator[Entity]:
    """The model that looked; a sensor is none."""
    if data["time_source"] != "sensor":
        name, _, digest = data["model"].partition("@")
        entity = {"id": _model_id(data["model"]), "type": "MLModel"}
        yield entity | {"name": _property(name), "version": _property(digest)}

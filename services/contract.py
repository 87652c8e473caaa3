"""The contract with platforms, as documents: JSON Schemas, examples, and the channels (AsyncAPI 3).

All is made from `services.event_types.DATA`; `vigie events contract FOLDER` writes it, and a test
keeps docs/events/ as this code says.
"""

import inspect
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

from services import event_types as types
from services.events import TYPE_PREFIX, Event, Evidence, Observation, Wire, schema_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SOURCE = "/territories/port-des-embruns/sites/quai-nord"
_URN = "urn:vigie:port-des-embruns:quai-nord:"
_NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)
_TOPIC = "vigie/{territory}/{site}/{asset}/"


def documents() -> dict[str, str]:
    """File name → content, of all documents."""
    found: dict[str, Any] = {"cloudevent.schema.json": envelope()}
    for kind in types.DATA:
        found[f"{_short(kind)}.schema.json"] = schema(kind)
        found[f"{_short(kind)}.example.json"] = json.loads(example(kind).json_line())
    found["asyncapi.json"] = asyncapi()
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in found.items()
    }


def _short(kind: str) -> str:
    return kind.removeprefix(TYPE_PREFIX)


def _summary(model: type[Wire]) -> str:
    return inspect.cleandoc(model.__doc__ or "").partition("\n")[0]


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the `data` of a type of event.

    It is open: what a later version adds, receivers ignore.
    """
    model = types.DATA[kind]
    made = _told(model.model_json_schema(mode="serialization"), model)
    if "value" in made["properties"]:  # told as null where it is unknown
        made["properties"]["value"]["type"] = ["number", "null"]
        made["required"] = sorted({*made["required"], "value"})
    if "$defs" in made:
        made["$defs"]["Evidence"] = _told(made["$defs"]["Evidence"], Evidence)
    described = {"title": kind, "description": _summary(model)}
    return {"$schema": _DIALECT, "$id": schema_of(kind)} | made | described


def _told(made: dict[str, Any], model: type[Wire]) -> dict[str, Any]:
    """A model's schema as it is on the wire: what has no value is absent, never null."""
    made = _plain(made)
    said = _descriptions(model)
    for name, one in made["properties"].items():
        kinds = [kind for kind in one.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1 and "anyOf" in one:
            one.pop("anyOf")
            one.update(kinds[0])
        if name in said:
            one["description"] = said[name]
    always = (name for name, field in model.model_fields.items() if field.default is not None)
    made["required"] = sorted(always)
    return made


def _descriptions(model: type[Wire]) -> dict[str, str]:
    """What the docstrings of a model and its bases say of each attribute."""
    said: dict[str, str] = {}
    for base in reversed(model.__mro__):
        names: list[str] = []
        for line in inspect.cleandoc(base.__doc__ or "").partition("Attributes:")[2].splitlines():
            if match := re.fullmatch(r"    (\w+(?:, \w+)*): (.*)", line):
                names = match[1].split(", ")
                said |= dict.fromkeys(names, match[2])
            elif line.startswith("        "):
                said |= {name: f"{said[name]} {line.strip()}" for name in names}
    return said


def _plain(made: Any) -> Any:
    """Without titles, which repeat names, without defaults, and open to what comes later."""
    if isinstance(made, list):
        return [_plain(one) for one in made]
    if not isinstance(made, dict):
        return made
    plain: dict[str, Any] = {}
    for name, one in made.items():
        if name == "properties":
            plain[name] = {key: _plain(value) for key, value in one.items()}
        elif name == "description":
            plain[name] = str(one).partition("\n")[0]
        elif name not in ("title", "default") and (name, one) != ("additionalProperties", False):
            plain[name] = _plain(one)
    return plain


def envelope() -> dict[str, Any]:
    """The JSON Schema of a whole event: CloudEvents 1.0.2, JSON format, with our two extensions."""
    made = _told(Event.model_json_schema(mode="serialization"), Event)
    made["properties"]["source"]["format"] = "uri-reference"
    made["properties"]["dataschema"]["format"] = "uri"
    for name in ("id", "source", "type", "subject", "partitionkey", "sequence"):
        made["properties"][name]["minLength"] = 1
    return {"$schema": _DIALECT, "$id": "urn:vigie:schema:cloudevent"} | made


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: a channel for each type of event."""
    channels, operations, messages, schemas = {}, {}, {}, {"cloudevent": envelope()}
    for kind, model in types.DATA.items():
        short = _short(kind).replace(".", "_")
        shown = example(kind)
        about = "asset" if shown.partitionkey else "subject"
        messages[short] = {
            "name": kind,
            "title": _summary(model),
            "contentType": "application/cloudevents+json",
            "payload": {
                "allOf": [
                    {"$ref": "#/components/schemas/cloudevent"},
                    {
                        "type": "object",
                        "properties": {
                            "type": {"const": kind},
                            "data": {"$ref": f"#/components/schemas/{short}"},
                        },
                    },
                ]
            },
            "examples": [{"payload": json.loads(shown.json_line())}],
        }
        schemas[short] = schema(kind)
        channels[short] = {
            "address": f"{_TOPIC}{kind}",
            "title": _summary(model),
            "parameters": {
                "territory": {"description": "The town, as its site file names it."},
                "site": {"description": "The site within it."},
                "asset": {"description": f"The {about} of the event."},
            },
            "messages": {short: {"$ref": f"#/components/messages/{short}"}},
        }
        operations[f"tell_{short}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{short}"},
            "messages": [{"$ref": f"#/channels/{short}/messages/{short}"}],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Vigie",
            "version": version("vigie"),
            "description": (
                "What Vigie tells a town's data platform: CloudEvents 1.0 in JSON. Addresses are "
                "those of MQTT; on Kafka all types share one topic, keyed by asset, and a webhook "
                "gets them one by one or in batches. Delivery is at least once: drop repeats by id."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def example(kind: str) -> Event:
    """An event of this type, as it would be told."""
    event: Event = _EXAMPLES[kind]()
    return event.numbered(7) if event.partitionkey else event


def _seen(asset: str, quantity: str, value: float | None, **more: Any) -> Observation:
    fields = {
        "work": "5f0c" * 8,
        "asset": _URN + asset,
        "camera": "cam-01",
        "quantity": quantity,
        "value": value,
        "unit": "1",
        "observed_at": _NOON,
        "time_source": "exif",
        "evidence": Evidence(
            key="quai-nord/cam-01/20260612T120000Z.5f0c5f0c.jpg",
            sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            polygon=((412.0, 300.5), (520.0, 300.5), (520.0, 431.0), (412.0, 431.0)),
            redactor="privacy@1f2e3d4c",
        ),
        "model": f"{quantity.partition('.')[0]}@0a1b2c3d",
    }
    return Observation.model_validate(fields | more)


_OVERFLOW = partial(
    _seen,
    "C-042",
    "waste.overflow",
    0.86,
    kind="container",
    confidence=0.86,
    detail={"clean": 0.05, "minor_litter": 0.09, "side_waste": 0.25, "overflow": 0.61},
)
_SHARE = partial(_seen, "P-1", "occupancy.share", 0.97, low=0.9, high=1.02, kind="car-park")
_STALL = partial(_seen, "P-1-17", "occupancy.taken", 0.98, confidence=0.98, kind="stall")
_PITCH = partial(_seen, "stade-2", "occupancy.use", 0.93, confidence=0.93, kind="pitch")
_GRASS = partial(
    _seen, "pelouse-3", "vegetation.grass", 14.2, unit="cm", low=12.9, high=15.4, kind="gauge"
)
_OVER = partial(_seen, "haie-7", "vegetation.over", 0.34, low=0.21, high=0.45, kind="parcel")
_NEAR = partial(
    _seen, "ligne-2", "vegetation.encroachment", 4.6, unit="m", low=3.1, high=6.2, kind="clearance"
)
_DRY = partial(_seen, "stade-1", "vegetation.dryness", 0.37, kind="parcel")
_FLIGHTS = {"camera": None, "time_source": "key"}
_LOST = partial(
    _seen, "view:cam-01", "site.view.lost", 1.0, detail={"matches": 3.0}, model="registration@1"
)
_START = partial(types.changed, source=_SOURCE, since=_NOON - timedelta(hours=1))
_END = partial(_START, until=_NOON)


def _example_changes() -> dict[str, Any]:
    clean = {"confidence": 0.96, "detail": {"clean": 0.94, "overflow": 0.01}}
    found = _seen(
        "unregistered:cam-01:5.7", "waste.container", 0.81, confidence=0.81, model="waste@0a1b2c3d"
    )
    empty = {"value": 0.03, "low": 0.0, "high": 0.1}
    return {
        types.OVERFLOW_STARTED: lambda k: _START(k, _OVERFLOW()),
        types.OVERFLOW_ENDED: lambda k: _END(
            k, _OVERFLOW().model_copy(update={"value": 0.04} | clean)
        ),
        types.CONTAINER_FOUND: lambda k: types.changed(k, found, _SOURCE, since=_NOON),
        types.STALL_TAKEN: lambda k: _START(k, _STALL()),
        types.STALL_FREED: lambda k: _END(k, _STALL().model_copy(update={"value": 0.02})),
        types.USE_STARTED: lambda k: _START(k, _PITCH()),
        types.USE_ENDED: lambda k: _END(k, _PITCH().model_copy(update={"value": 0.04})),
        types.OCCUPANCY_CHANGED: lambda k: _START(k, _SHARE(), band=(0.75, None), was=(0.5, 0.75)),
        types.OCCUPANCY_FULL: lambda k: _START(k, _SHARE()),
        types.OCCUPANCY_AVAILABLE: lambda k: _END(k, _SHARE().model_copy(update=empty)),
        types.MOWING_DUE: lambda k: _START(k, _GRASS()),
        types.MOWING_DONE: lambda k: _END(
            k, _GRASS().model_copy(update={"value": 5.1, "low": 4.0, "high": 6.3})
        ),
        types.PRUNING_DUE: lambda k: _START(k, _OVER(**_FLIGHTS)),
        types.PRUNING_DONE: lambda k: _END(k, _OVER(**_FLIGHTS).model_copy(update=empty)),
        types.ENCROACHMENT_STARTED: lambda k: _START(k, _NEAR(**_FLIGHTS)),
        types.ENCROACHMENT_ENDED: lambda k: _END(
            k, _NEAR(**_FLIGHTS).model_copy(update={"value": 0.0, "low": 0.0, "high": 0.4})
        ),
        types.DRYNESS_STARTED: lambda k: _START(k, _DRY(**_FLIGHTS)),
        types.DRYNESS_ENDED: lambda k: _END(k, _DRY(**_FLIGHTS).model_copy(update={"value": 0.1})),
        types.VIEW_LOST: lambda k: _START(k, _LOST()),
        types.VIEW_RESTORED: lambda k: _END(k, _LOST().model_copy(update={"value": 0.0})),
    }


def _examples() -> Mapping[str, Any]:
    changes = {kind: partial(make, kind) for kind, make in _example_changes().items()}
    started = changes[types.OVERFLOW_STARTED]
    return changes | {
        types.OBSERVATION_RECORDED: lambda: types.recorded(_OVERFLOW(), _SOURCE),
        types.EVENT_WITHDRAWN: lambda: types.withdrawn(
            started().id, types.OVERFLOW_STARTED, _URN + "C-042", _NOON, _SOURCE
        ),
        types.IMAGE_QUARANTINED: lambda: types.quarantined(
            "5f0c" * 8, "quai-nord/cam-01/20260612T121000Z.jpg", "truncated", _NOON, _SOURCE
        ),
        types.BATCH_COMPLETED: lambda: types.completed(
            "3fa2c0d1e5b6", {"redacted": 129, "quarantined": 1}, _NOON, _SOURCE
        ),
    }


_EXAMPLES = _examples()

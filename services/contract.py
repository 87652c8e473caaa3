"""The contract with platforms, as documents: JSON Schemas, examples, the channels (AsyncAPI 3), and
the JSON-LD context of entities, for a town to serve.

All is made from `services.event_types.DATA`; `vigie events contract FOLDER` writes it, and a test
keeps docs/events/ as this code says.
"""

import inspect
import json
import re
from importlib.metadata import version
from typing import Any

from services import event_types as types
from services import ngsi
from services.event_examples import example
from services.events import TYPE_PREFIX, Event, Evidence, Wire, schema_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TOPIC = "vigie/{territory}/{site}/{asset}/"


def documents() -> dict[str, str]:
    """File name → content, of all documents."""
    found: dict[str, Any] = {"cloudevent.schema.json": envelope()}
    for kind in types.DATA:
        found[f"{_short(kind)}.schema.json"] = schema(kind)
        found[f"{_short(kind)}.example.json"] = json.loads(example(kind).json_line())
    found["asyncapi.json"] = asyncapi()
    found["ngsi-context.jsonld"] = {"@context": dict(ngsi.TERMS)}
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
    parts: tuple[type[Wire], ...] = (Evidence, types.Declared)
    for part in (part for part in parts if part.__name__ in made.get("$defs", {})):
        made["$defs"][part.__name__] = _told(made["$defs"][part.__name__], part)
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
    """The AsyncAPI 3.0 document: a channel for each type of event, and MQTT's availability."""
    channels: dict[str, Any] = {"status": _STATUS_CHANNEL}
    operations: dict[str, Any] = {"tell_status": _told_on("status") | _STATUS_BINDING}
    messages: dict[str, Any] = {"status": _STATUS}
    schemas = _embedded("cloudevent", envelope())
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
        schemas |= _embedded(short, schema(kind))
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
        operations[f"tell_{short}"] = _told_on(short)
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


def _told_on(channel: str) -> dict[str, Any]:
    """The operation by which we tell what a channel is for."""
    messages = [{"$ref": f"#/channels/{channel}/messages/{channel}"}]
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "messages": messages}


def _embedded(name: str, made: dict[str, Any]) -> dict[str, Any]:
    """A schema and its parts as components: within a document, references are to its root."""
    below = "#/components/schemas/"
    text = json.dumps({n: v for n, v in made.items() if n not in ("$schema", "$id", "$defs")})
    parts: dict[str, Any] = made.get("$defs", {})
    return {name: json.loads(text.replace("#/$defs/", below))} | parts


_STATUS = {
    "name": "status",
    "title": "Whether Vigie is connected to an MQTT broker.",
    "contentType": "text/plain",
    "payload": {"type": "string", "enum": ["online", "offline"]},
    "examples": [{"payload": "online"}],
}
_STATUS_CHANNEL = {
    "address": "vigie/status",
    "title": "Whether Vigie is connected: `offline` is the last will. MQTT only.",
    "messages": {"status": {"$ref": "#/components/messages/status"}},
}
_STATUS_BINDING = {"bindings": {"mqtt": {"qos": 1, "retain": True, "bindingVersion": "0.2.0"}}}

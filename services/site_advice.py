"""What pydantic finds wrong, in the words of someone who edits a file: where, and what to write."""

import difflib
import json
from collections.abc import Collection, Iterator
from typing import Any, get_args
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from services.site_yaml import Path

# Where pydantic speaks of Python or JSON, words that fit a file.
_WORDS = {
    "missing": "missing",
    "dict_type": "should hold fields with values",
    "model_type": "should hold fields with values",
    "model_attributes_type": "should hold fields with values",
    "tuple_type": "should be a list",
    "union_tag_invalid": "type should be Point, Polygon or LineString",
    "union_tag_not_found": "type should be Point, Polygon or LineString",
    "too_short": "should have at least {min_length} items, not {actual_length}",
    "too_long": "should have at most {max_length} items, not {actual_length}",
    "zoneinfo_str": "should be an IANA time zone",
}


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Path, str]]:
    """Each problem as the path of fields in the file, and a message that says what is right.

    `model` is what was validated. The examples in messages are those of its fields.
    """
    for detail in error.errors(include_url=False):
        if detail["type"] == "contradictions":
            yield from detail["ctx"]["problems"]
            continue
        path, owner, name = _locate(detail["loc"], model)
        if detail["type"] == "extra_forbidden":
            yield path, f"unknown field; {nearest(str(path[-1]), owner.model_fields)}"
        else:
            yield path, _advice(detail, name, owner.model_fields.get(name))


def nearest(name: str, known: Collection[str]) -> str:
    """A question about the most similar known name, else the known names, 12 at most."""
    if close := difflib.get_close_matches(name, known, n=1):
        return f"did you mean {close[0]}?"
    listed = sorted(known)
    more = ", …" if len(listed) > 12 else ""
    return f"known: {', '.join(listed[:12])}{more}" if listed else "there are none"


def spell(path: Path) -> str:
    """A path as people write it: cameras[1].size_wh."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _advice(detail: ErrorDetails, name: str, field: FieldInfo | None) -> str:
    words = _WORDS.get(detail["type"])
    message = words.format(**detail.get("ctx", {})) if words else detail["msg"]
    if detail["type"] == "zoneinfo_str":
        zones = difflib.get_close_matches(str(detail["input"]), available_timezones(), n=1)
        return f"{message}; did you mean {zones[0]}?" if zones else f"{message}; e.g. Europe/Paris"
    if field is None or not field.examples:
        return message
    return f"{message}; write e.g. {name}: {json.dumps(field.examples[0], ensure_ascii=False)}"


def _locate(loc: Path, model: type[BaseModel]) -> tuple[Path, type[BaseModel], str]:
    """The path in the file, the model that the last field belongs to, and that field's name."""
    path: Path = ()
    owner, name = model, ""
    inside: tuple[type[BaseModel], ...] = (model,)
    for part in loc:
        member = [one for one in inside if one.__name__ == part]
        if len(inside) > 1 and member:  # pydantic's name of a union's member, not the file's
            inside = tuple(member)
            continue
        path = (*path, part)
        if inside:
            owner = inside[0]
        if inside and part in owner.model_fields:
            name = str(part)
            inside = _models_in(owner.model_fields[name].annotation)
    return path, owner, name


def _models_in(annotation: Any) -> tuple[type[BaseModel], ...]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(model for part in get_args(annotation) for model in _models_in(part))

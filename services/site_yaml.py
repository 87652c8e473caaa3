"""A site file's text as plain data, with the line of every value.

Only what JSON can say is read: mappings with text keys, lists, text, numbers, true, false, null.
Nothing is constructed from tags. Plain words that YAML 1.1 and 1.2 read differently (`no`, `7:30`,
`010`, `2026-06-12`; https://yaml.org/spec/1.2.2/#103-core-schema) are refused rather than guessed.
Size, depth and the number of values are bounded, aliases counted each time they are used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml
from pydantic import JsonValue

from models.errors import BadSite

Path = tuple[str | int, ...]

MAX_BYTES = 512 * 1024
MAX_DEPTH = 32
MAX_VALUES = MAX_BYTES // 2  # a value takes two bytes, so only aliases can lead beyond

_NUMBER = re.compile(r"[-+]?(0|[1-9]\d{0,17})(\.\d{1,20})?([eE][-+]?\d{1,3})?")
_KINDS = {"bool": "a true or false", "int": "a number", "float": "a number", "timestamp": "a date"}
_TAGS = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at `path`, on `line` (from 1)."""

    line: int
    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Document:
    """What a site file says.

    Attributes:
        data: the fields at the top of the file.
        lines: the line (from 1) of every field and list item, by path.
        problems: what was read but cannot stand.
    """

    data: dict[str, JsonValue]
    lines: Mapping[Path, int]
    problems: Sequence[Problem]

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest value around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read(text: str | bytes, name: str) -> Document:
    """Read the text of a site file; `name` is the file's name in messages.

    Raises:
        BadSite: not UTF-8, not YAML, not a mapping, or beyond a bound.
    """
    if len(text) > MAX_BYTES:
        raise BadSite(
            f"{name}: larger than {MAX_BYTES // 1024} KiB; move geometry to a GeoJSON file"
        )
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadSite(f"{name}:{line}: not UTF-8; save the file as UTF-8") from error
    try:
        node = _Loader(decoded).get_single_node()
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark.line + 1 if error.problem_mark else 1
        tab = "; indent with spaces, not tabs" if "'\\t'" in str(error.problem) else ""
        words = ", ".join(filter(None, (error.context, error.problem)))
        raise BadSite(f"{name}:{where}: not YAML: {words}{tab}") from error
    except yaml.reader.ReaderError as error:
        line = decoded[: error.position].count("\n") + 1
        raise BadSite(f"{name}:{line}: not text: {error.reason}") from error
    reader = _Reader(name)
    data = reader.value(node, ()) if node else None
    if not isinstance(data, dict):
        raise BadSite(f"{name}:1: no fields; begin with e.g. territory: port-des-embruns")
    return Document(data, reader.lines, reader.problems)


class _Loader(yaml.SafeLoader):
    """Refuses deep nesting while composing, before recursion can run out."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = parent.start_mark if parent else None
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reader:
    """Walks the composed nodes once, noting lines and problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {(): 1}
        self.problems: list[Problem] = []
        self.count = 0

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, JsonValue]:
        fields: dict[str, JsonValue] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem(line, path, "a field's name must be plain text"))
                continue
            below = (*path, key.value)
            if key.tag == f"{_TAGS}merge":
                message = "merging with << is not supported; write the fields out"
                self.problems.append(Problem(line, below, message))
                continue
            if below in self.lines:
                message = f"given twice, first on line {self.lines[below]}; keep one"
                self.problems.append(Problem(line, below, message))
                continue
            self.lines[below] = line
            if key.tag != f"{_TAGS}str":
                self._dispute(key, below)
            fields[key.value] = self.value(value, below)
        return fields

    def value(self, node: yaml.Node, path: Path) -> JsonValue:
        self.count += 1
        line = node.start_mark.line + 1
        # An alias to its own parent has no end: both bounds hold for what aliases expand to.
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise BadSite(
                f"{self.name}:{line}: more than {MAX_VALUES} values or {MAX_DEPTH} levels once "
                "aliases are expanded; write fewer aliases"
            )
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAGS}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAGS}seq":
            items: list[JsonValue] = []
            for index, item in enumerate(node.value):
                self.lines[(*path, index)] = item.start_mark.line + 1
                items.append(self.value(item, (*path, index)))
            return items
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.problems.append(Problem(line, path, f"the tag {node.tag} is not supported; remove it"))
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> JsonValue:
        text: str = node.value
        kind = node.tag.removeprefix(_TAGS)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind in ("int", "float") and _NUMBER.fullmatch(text):
            return int(text) if text.lstrip("+-").isdigit() else float(text)
        if kind != "str":
            self._dispute(node, path)
        return text

    def _dispute(self, node: yaml.ScalarNode, path: Path) -> None:
        kind = node.tag.removeprefix(_TAGS)
        line = node.start_mark.line + 1
        if kind in _KINDS:
            message = (
                f"some YAML readers take {node.value} for {_KINDS[kind]}; "
                f'for text write "{node.value}" in quotes, for a number plain digits like 30 or 0.5'
            )
        else:
            message = f'{node.value!r} cannot stand here; write it in quotes, as "{node.value}"'
        self.problems.append(Problem(line, path, message))

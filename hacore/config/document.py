"""One YAML text turned into plain values, with the place of each; every fault of the text at once.

Only plain values come out: mappings with text keys, lists, text, numbers, booleans and null. It knows no key of ours. YAML 1.1's booleans
(``on``, ``yes``) are kept because files of the field rest on them; its octal, sexagesimal and date forms stay the text that they look like.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from hacore.config.fault import ConfigFaultsError, Fault, Path, Place, dotted

MAX_BYTES: Final = 1 << 20
_MAX_NODES: Final = 50_000
_MAX_DEPTH: Final = 64
_YAML_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = _YAML_TAG + "merge"
# The scalar ones only say how the text was spelt; what it becomes is decided here.
_PLAIN_TAGS: Final = frozenset({"map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value"})
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE: Final = frozenset({"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Plain values and the place of each. ``faults`` are those that leave the rest readable, such as a duplicate key."""

    values: dict[str, Any]
    places: dict[Path, Place] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def place(self, path: Path) -> Place | None:
        """Return where the value stands, or the nearest thing around it."""
        return next((self.places[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self.places), None)


def decode(data: bytes, file: str) -> str:
    """Turn the bytes of a file into text.

    :raises ConfigFaultsError: too large, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise ConfigFaultsError([_fault(file, None, f"more than {MAX_BYTES} bytes", "a file of at most 1 MiB")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigFaultsError([_fault(file, line, f"the byte 0x{data[error.start]:02x}", "text in UTF-8")]) from error


def parse(text: str, file: str) -> Document:
    """Read a text whose top is a mapping, or empty.

    :raises ConfigFaultsError: when it cannot be read at all.
    """
    value, reader = _read(text, file)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise ConfigFaultsError([_fault(file, 1, _found(value), "a mapping of sections, like `scope: main`")])
    return Document(values=value, places=reader.places, faults=tuple(reader.faults))


def parse_value(text: str, name: str) -> object:
    """Read one value, as an environment variable carries it; ``name`` is the variable's.

    :raises ConfigFaultsError: when it is no YAML.
    """
    value, reader = _read(text, name)
    if reader.faults:
        raise ConfigFaultsError(reader.faults)
    return value


def _read(text: str, file: str) -> tuple[object, "_Reader"]:
    reader = _Reader(file)
    try:
        node = _BoundedLoader(text).get_single_node()
        return (reader.value(node, ()) if node is not None else None), reader
    except yaml.MarkedYAMLError as error:
        raise ConfigFaultsError([_syntax_fault(error, file)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = f"the character U+{int(error.character):04X}"
        raise ConfigFaultsError([_fault(file, line, found, "text without control characters")]) from error
    except _LimitError as error:
        raise ConfigFaultsError([_fault(file, error.line, error.found, error.wanted)]) from error


class _LimitError(Exception):
    def __init__(self, node_line: int, found: str, wanted: str) -> None:
        super().__init__(found)
        self.line, self.found, self.wanted = node_line + 1, found, wanted


class _BoundedLoader(yaml.SafeLoader):
    """Composes nodes, and gives up on a text that no person wrote before it costs time or the stack."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._nodes += 1
        line: int = self.peek_event().start_mark.line  # type: ignore[no-untyped-call]
        if self._depth > _MAX_DEPTH:
            raise _LimitError(line, f"more than {_MAX_DEPTH} levels of nesting", "fewer levels")
        if self._nodes > _MAX_NODES:
            raise _LimitError(line, f"more than {_MAX_NODES} values", "fewer values")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Reader:
    """Walks the nodes of one text. Aliases are followed each time, so that what they expand to is counted."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}
        self.faults: list[Fault] = []
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - plain YAML values
        self._count(node, path)
        self.places[path] = Place(self.file, node.start_mark.line + 1)
        self._refuse_tag(node, path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None

    def _count(self, node: yaml.Node, path: Path) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise _LimitError(node.start_mark.line, f"aliases that expand to more than {_MAX_NODES} values", "fewer aliases")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged.append(value_node)
                continue
            key, line = self._key(key_node, path), key_node.start_mark.line + 1
            if key is None:
                continue
            if key in found:
                wanted = f"it once: this is the second, the first stands in line {lines[key]}"
                self.faults.append(_fault(self.file, line, f"the key {key} twice", wanted, dotted((*path, key))))
            lines.setdefault(key, line)
            found[key] = self.value(value_node, (*path, key))
            self.places[(*path, key)] = Place(self.file, line)
        for inherited in self._inherited(merged, path):
            found = inherited | found
        return found

    def _inherited(self, nodes: list[yaml.Node], path: Path) -> Iterator[dict[str, Any]]:
        for node in nodes:
            parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
            for part in parts:
                if not isinstance(part, yaml.MappingNode):
                    self.faults.append(
                        _fault(self.file, part.start_mark.line + 1, "a merge of something else", "a mapping after <<", dotted(path))
                    )
                    continue
                kept = dict(self.places)
                self._count(part, path)
                yield self._mapping(part, path)
                self.places |= kept  # what stands here itself keeps its place

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            found = self._scalar(node, path)
            if isinstance(found, str) and found:
                return found
            if isinstance(found, int) and not isinstance(found, bool):
                return str(found)
            self.faults.append(
                _fault(self.file, line, f"the key {node.value or 'null'}", "a key that is text: put it in quotes", dotted(path))
            )
        else:
            self.faults.append(_fault(self.file, line, "a key that is a list or a mapping", "a key that is text", dotted(path)))
        return None

    def _refuse_tag(self, node: yaml.Node, path: Path) -> None:
        if node.tag.removeprefix(_YAML_TAG) not in _PLAIN_TAGS:
            found = f"the tag {node.tag.replace(_YAML_TAG, '!!')}"
            self.faults.append(_fault(self.file, node.start_mark.line + 1, found, "a plain value", dotted(path)))

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> str | int | float | bool | None:
        text = str(node.value)
        if any("\ud800" <= mark <= "\udfff" for mark in text):
            self.faults.append(_fault(self.file, node.start_mark.line + 1, "half a character", "text in UTF-8", dotted(path)))
        if node.style is not None or node.tag == _YAML_TAG + "str":
            return text
        return _plain(text)


def _plain(text: str) -> str | int | float | bool | None:
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text) and len(text) <= 32:  # noqa: PLR2004 - longer than any number that means one
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def _syntax_fault(error: yaml.MarkedYAMLError, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else None
    problem = " ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in problem:
        return _fault(file, line, "a tab", "spaces: YAML does not indent with tabs")
    return Fault(file=file, line=line, path="", found=None, wanted=f"not YAML: {problem}")


def _found(value: object) -> str:
    return "a list" if isinstance(value, list) else f"the value {str(value)[:40]!r}"


def _fault(file: str, line: int | None, found: str, wanted: str, path: str = "") -> Fault:
    return Fault(file=file, line=line, path=path, found=found, wanted=wanted)

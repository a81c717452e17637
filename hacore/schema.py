"""Schemas of configuration sections, for the core and for plugin authors.

A plugin describes its section with a :class:`SectionSchema` and gets it checked with everything else at start: all faults at once, each
with its place in the file. It does not know where a section stands or where its values came from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing, pre_load

from hacore import convert
from hacore.convert import Converter, WrongValueError

Path = tuple[str | int, ...]

# What the library says of a wrong value, as the end of a sentence that begins with "wanted".
_WANTED: Final[Mapping[type[fields.Field[Any]], Mapping[str, str]]] = {
    fields.Field: {"required": "a value: the key is required", "null": "a value", "validator_failed": "another value"},
    fields.String: {"invalid": "text", "invalid_utf8": "text in UTF-8"},
    fields.Number: {"invalid": "a number", "too_large": "a smaller number"},
    fields.Integer: {"invalid": "a whole number"},
    fields.Boolean: {"invalid": "on or off"},
    fields.List: {"invalid": "a list"},
    fields.Mapping: {"invalid": "a mapping"},
    fields.Nested: {"type": "a mapping"},
}


class SectionSchema(Schema):
    """Base of the schema of one section.

    Keys that the schema does not know are left out here; the configuration loader reports them with the nearest known one. A key without
    a value counts as absent. ``post_load`` should turn what was read into a frozen dataclass.
    """

    class Meta:
        """How the library treats keys that no field knows."""

        unknown = EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Word the library's messages as the rest of the faults are worded."""
        super().on_bind_field(field_name, field_obj)
        self.error_messages["type"] = "a mapping"
        _reword(field_obj)

    def welcomes(self, key: str, section: Mapping[str, Any]) -> bool:  # noqa: ARG002 - for subclasses
        """Tell whether a key that no field knows is right in this section. It is then the subclass's to read."""
        return False

    def remarks(self, section: Mapping[str, Any], settings: Any) -> Iterator[tuple[Path, str]]:  # noqa: ANN401, ARG002 - for subclasses
        """Return what is not wrong in a section and still not as its writer will have meant it, by the path inside it. Said as warnings.

        :param settings: what the schema has made of the section.
        """
        yield from ()

    @pre_load
    def drop_empty(self, data: object, **_: object) -> object:
        """Treat ``key:`` without a value as if it were not there."""
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data


class Converted(fields.Field[Any]):
    """A field that reads its value with one of :mod:`hacore.convert`.

    :param converter: returns the value or raises :class:`hacore.convert.WrongValueError`.
    """

    def __init__(self, converter: Converter[Any], **options: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(**options)
        self.converter = converter

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002 - the library's
        try:
            return self.converter(value)
        except WrongValueError as error:
            raise ValidationError(nested_messages(error)) from error


class Secret(Converted):
    """Text that is never shown: not by ``explain-config``, REST, logs or faults. In the frozen settings: ``field(repr=False)``."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(convert.line, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDescription:
    """One key of a section, for people."""

    path: tuple[str, ...]
    default: object | None
    required: bool
    secret: bool


def check(schema: Schema, section: object) -> dict[Path, str]:
    """Return what is wrong in a section, by the path inside it; empty when nothing is."""
    try:
        schema.load(cast("Mapping[str, Any]", section))  # anything may stand in a file; the schema says so
    except ValidationError as error:
        return dict(messages_of(error))
    return {}


def messages_of(error: ValidationError) -> Iterator[tuple[Path, str]]:
    """Return each message of the library with the path that it is about."""
    yield from _flat(error.messages, ())


def describe(schema: Schema) -> tuple[KeyDescription, ...]:
    """Return every key of a section and of the sections inside it."""
    return tuple(_described(schema, ()))


def unknown_keys(schema: Schema, section: object) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Return the path of each key that the schema does not know, with the names that it does know there."""
    if not isinstance(section, Mapping):
        return
    known = {field.data_key or name: field for name, field in schema.fields.items()}
    for key, value in section.items():
        if key not in known:
            if not (isinstance(schema, SectionSchema) and schema.welcomes(key, section)):
                yield (key,), tuple(known)
        elif isinstance(nested := known[key], fields.Nested):
            yield from (((key, *path), names) for path, names in unknown_keys(nested.schema, value))


def _reword(field: fields.Field[Any]) -> None:
    for kind, wanted in _WANTED.items():
        if isinstance(field, kind):
            field.error_messages |= {name: text for name, text in wanted.items() if name in field.error_messages}
    inner: list[fields.Field[Any] | None] = [field.inner] if isinstance(field, fields.List) else []
    if isinstance(field, fields.Mapping):
        inner = [field.key_field, field.value_field]
    for one in filter(None, inner):
        _reword(one)


def _described(schema: Schema, path: tuple[str, ...]) -> Iterator[KeyDescription]:
    for name, field in schema.fields.items():
        place = (*path, field.data_key or name)
        if isinstance(field, fields.Nested):
            yield from _described(field.schema, place)
            continue
        default = None if field.load_default is missing else field.load_default
        secret = isinstance(field, Secret) or bool(field.metadata.get("secret"))
        yield KeyDescription(path=place, default=default() if callable(default) else default, required=field.required, secret=secret)


def nested_messages(error: WrongValueError) -> list[str] | dict[str, Any]:
    """Turn the wrong parts of a value into the library's tree of messages."""
    if () in error.parts:
        return [error.parts[()]]
    tree: dict[str, Any] = {}
    for path, wanted in error.parts.items():
        branch: dict[Any, Any] = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = [wanted]
    return tree


def _flat(messages: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _flat(inner, path if key == "_schema" else (*path, key))
    elif isinstance(messages, list):
        yield path, "; ".join(map(str, messages))
    else:
        yield path, str(messages)

"""Options of initdb and pg_basebackup as a file lists them, and those that are not the file's to set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hacore import convert
from hacore.config.settings import ToolOption
from hacore.convert import Parts, WrongValueError

_BASEBACKUP_OWN: Final = frozenset(
    {"pgdata", "format", "wal-method", "xlog-method", "gzip", "version", "compress", "dbname", "host", "port", "username", "password"}
)
_INITDB_OWN: Final = frozenset({"pgdata", "nosync", "no-sync", "pwfile", "sync-only", "version"})
_WANTED: Final = "a list of options: `name` or `name: value`"


@dataclass(frozen=True, slots=True)
class _Options:
    """Reads the options of one program: a list of ``name`` and ``name: value``, or a mapping."""

    own: frozenset[str]  # set by hacore, never by a file
    allowed: tuple[str, str] | None = None  # an option of ``own`` that may be given with values that begin so

    def __call__(self, value: object) -> tuple[ToolOption, ...]:
        if not isinstance(value, Mapping):
            return convert.listed(self._item, _WANTED)(value)
        options: list[ToolOption] = []
        wrong: Parts = {}
        for name, one in value.items():
            try:
                options.append(self._option(name, one))
            except WrongValueError as error:
                wrong |= {(name, *path): wanted for path, wanted in error.parts.items()}
        if wrong:
            raise WrongValueError(wrong)
        return tuple(options)

    def _item(self, item: object) -> ToolOption:
        if not isinstance(item, Mapping):
            return self._option(item, None)
        if len(item) != 1:
            raise WrongValueError("one `name: value` in each item")
        ((name, value),) = item.items()
        return self._option(name, value)

    def _option(self, name: object, value: object) -> ToolOption:
        option = convert.word(name).removeprefix("--").replace("_", "-")
        found = None if value is None else _unquoted(convert.setting(value))
        if option in self.own and not (self.allowed and option == self.allowed[0] and (found or "").startswith(self.allowed[1])):
            raise WrongValueError(f"another option: --{option} is set by hacore")
        return ToolOption(name=option, value=found)


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


# A server compresses by itself (PostgreSQL 15); any other compression would leave an archive instead of a directory.
basebackup_options: Final = _Options(_BASEBACKUP_OWN, ("compress", "server-"))
initdb_options: Final = _Options(_INITDB_OWN)

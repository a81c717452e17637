"""The command line of ``wal-g``, as far as its manual and the integrations reference describe it."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hacore.testing.walg.settings import Settings, WalgError, read_settings, say
from hacore.testing.walg.storage import Storage, open_storage

VERSION: Final = "wal-g version hacore-stand-in"
_WITH_VALUE: Final = frozenset(
    {"--config", "--add-user-data", "--target-user-data", "--restore-spec", "--mask", "--after", "--delta-from-name", "--pghost"}
)
_SHORT: Final = {"-f": "--full", "-p": "--permanent", "-i": "--impermanent"}
_FLAGS: Final = frozenset(
    {
        "--full", "--permanent", "--impermanent", "--json", "--detail", "--pretty", "--confirm", "--use-sentinel-time", "--version",
        "--without-backups", "--detailed-json", "--reverse-unpack",
    }
)  # fmt: skip


class Call:
    """One command line: its words, and its options wherever they stand."""

    def __init__(self, arguments: list[str]) -> None:
        self.words: list[str] = []
        self.options: dict[str, str] = {}
        rest = list(arguments)
        while rest:
            word = _SHORT.get(rest[0], rest[0])
            rest.pop(0)
            name, equals, value = word.partition("=")
            if name in _WITH_VALUE:
                if not equals and not rest:
                    raise WalgError(f"flag needs an argument: {name}")
                self.options[name] = value if equals else rest.pop(0)
            elif name in _FLAGS:
                self.options[name] = ""
            elif word.startswith("-"):
                raise WalgError(f"unknown flag: {word}")
            else:
                self.words.append(word)

    def has(self, option: str) -> bool:
        """Tell whether a flag is given."""
        return option in self.options

    def take(self, least: int, most: int | None = None) -> list[str]:
        """Return what stands behind the command.

        :raises WalgError: there are more words or fewer.
        """
        if not least <= len(self.words) - 1 <= (least if most is None else most):
            raise WalgError(f"{self.words[0]}: accepts {least} arg(s), received {len(self.words) - 1}")
        return self.words[1:]


def _wal_push(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg import archive  # noqa: PLC0415 - each command imports what it needs

    (path,) = call.take(1)
    archive.push(settings, storage, Path(path))


def _wal_fetch(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg import archive  # noqa: PLC0415

    name, destination = call.take(2)
    archive.fetch(settings, storage, name, Path(destination))


def _wal_prefetch(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg import archive  # noqa: PLC0415

    name, destination = call.take(2)
    archive.prefetch(settings, storage, name, Path(destination))


def _backup_push(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg import making  # noqa: PLC0415

    words = call.take(0, 1)
    if "--pghost" in call.options:
        os.environ["PGHOST"] = call.options["--pghost"]
    user_data = call.options.get("--add-user-data") or settings.get("WALG_SENTINEL_USER_DATA")
    try:
        data = json.loads(user_data) if user_data else None
    except ValueError as error:
        raise WalgError(f"user data: {error}") from error
    wanted = making.Wanted(call.has("--full"), call.has("--permanent"), data, call.options.get("--delta-from-name"))
    making.push(settings, storage, Path(words[0]) if words else None, wanted)


def _backup_fetch(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg import backups, restoring  # noqa: PLC0415

    user_data, spec = call.options.get("--target-user-data"), call.options.get("--restore-spec")
    directory, *name = call.take(1) if user_data else call.take(2)
    backup = backups.resolve(backups.read_all(storage), name[0] if name else "", user_data)
    restoring.fetch(settings, storage, Path(directory), backup, restoring.read_spec(Path(spec)) if spec else None)


def _backup_list(call: Call, settings: Settings, storage: Storage) -> None:  # noqa: ARG001 - as every command
    from hacore.testing.walg import backups  # noqa: PLC0415

    call.take(0)
    found = backups.read_all(storage)
    if not found:
        say("No backups found")
    if found or call.has("--json"):
        _print(backups.show(found, as_json=call.has("--json"), detail=call.has("--detail")))


def _backup_mark(call: Call, settings: Settings, storage: Storage) -> None:  # noqa: ARG001 - as every command
    from hacore.testing.walg import backups  # noqa: PLC0415

    (name,) = call.take(1)
    backups.mark(storage, name, is_permanent=not call.has("--impermanent"))


def _delete(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg.deleting import Deletion  # noqa: PLC0415

    deletion = Deletion(settings, storage, by_time=call.has("--use-sentinel-time"), confirmed=call.has("--confirm"))
    deletion.run(call.words[1:], call.options.get("--after"))


def _wal_show(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg import checks  # noqa: PLC0415

    rows = checks.show(settings, storage, with_backups=not call.has("--without-backups"))
    if call.has("--detailed-json"):
        _print(json.dumps(rows))
        return
    for row in rows:
        _print(" ".join(str(row[name]) for name in ("id", "parent_id", "start_segment", "end_segment", "segments_count", "status")))


def _wal_verify(call: Call, settings: Settings, storage: Storage) -> None:
    from hacore.testing.walg import checks  # noqa: PLC0415

    asked = call.take(1, 2)
    if set(asked) - set(checks.CHECKS):
        raise WalgError(f"wal-verify {' '.join(asked)}: want {' and '.join(checks.CHECKS)}")
    verdict = checks.verify(settings, storage, asked)
    if call.has("--json"):
        _print(json.dumps(verdict))
        return
    for check, found in verdict.items():
        _print(f"[wal-verify] {check} check status: {found['status']}\n[wal-verify] {check} check details:\n{json.dumps(found['details'])}")


def _st(call: Call, settings: Settings, storage: Storage) -> None:  # noqa: ARG001 - as every command
    verb, name = call.take(2)
    content = storage.read(name) if verb == "cat" else None
    if content is None:
        raise WalgError(f"object '{name}' does not exist" if verb == "cat" else f"st {verb}: want cat")
    sys.stdout.buffer.write(content)


_COMMANDS: Final[Mapping[str, Callable[[Call, Settings, Storage], None]]] = {
    "wal-push": _wal_push,
    "wal-fetch": _wal_fetch,
    "wal-prefetch": _wal_prefetch,
    "backup-push": _backup_push,
    "backup-fetch": _backup_fetch,
    "backup-list": _backup_list,
    "backup-mark": _backup_mark,
    "delete": _delete,
    "wal-show": _wal_show,
    "wal-verify": _wal_verify,
    "st": _st,
}


def _command(call: Call) -> Callable[[Call, Settings, Storage], None]:
    command = _COMMANDS.get(call.words[0] if call.words else "")
    if command is None:
        raise WalgError(f'unknown command "{" ".join(call.words)}" for "wal-g"')
    return command


def main() -> int:
    """Run one command line and return its exit code."""
    try:
        call = Call(sys.argv[1:])
        if call.has("--version"):
            _print(VERSION)
            return 0
        command = _command(call)
        settings = read_settings(call.options.get("--config"))
        command(call, settings, open_storage(settings))
    except WalgError as error:
        say(str(error), "ERROR")
        return error.exit_code
    return 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")

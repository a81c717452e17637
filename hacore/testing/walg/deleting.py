"""``delete``: what is old, by names as WAL-G compares them (timeline, then segment) or by time; a dry run until it is confirmed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from hacore.testing.walg import backups as found
from hacore.testing.walg.backups import Backup, resolve
from hacore.testing.walg.segments import FOLDER as WAL
from hacore.testing.walg.segments import Segment, parse
from hacore.testing.walg.settings import Settings, WalgError, say, segment_bytes
from hacore.testing.walg.storage import Storage

_MODES: Final = frozenset({"FULL", "FIND_FULL"})
_SEGMENT: Final = 24


class Deletion:
    """What one ``delete`` is asked, against what is there."""

    def __init__(self, settings: Settings, storage: Storage, *, by_time: bool, confirmed: bool) -> None:
        self._settings, self._storage, self._by_time, self._confirmed = settings, storage, by_time, confirmed
        self._backups = found.read_all(storage)
        if not by_time:
            self._backups.sort(key=lambda backup: (self._segment(backup.first_segment), backup.name))

    def run(self, words: list[str], after: str | None) -> None:
        """Carry out ``delete WORDS``."""
        kind, *rest = words or [""]
        mode = rest.pop(0) if rest and rest[0] in _MODES else ""
        if kind == "retain" and len(rest) == 1 and rest[0].isdigit():
            self._retain(int(rest[0]), mode, after)
        elif kind == "before" and len(rest) == 1:
            self._before(self._named(rest[0]), mode)
        elif kind == "target" and len(rest) == 1:
            self._target(resolve(self._backups, rest[0]), mode)
        elif kind == "everything" and rest in ([], ["FORCE"]):
            self._everything(forced=bool(rest))
        elif kind == "garbage" and rest in ([], ["ARCHIVES"], ["BACKUPS"]):
            self._garbage(rest[0] if rest else "")
        else:
            raise WalgError(f"delete {' '.join(words)}: want retain, before, target, everything or garbage")

    def _retain(self, count: int, mode: str, after: str | None) -> None:
        counted = [one for one in self._backups if mode != "FULL" or one.parent is None]
        if len(counted) <= count:
            say("No backup found for deletion", "WARNING")
            return
        oldest = counted[-count] if count else None
        if oldest is None:
            raise WalgError("delete retain: cannot retain less than 1 backup")
        if after:
            late = [one for one in self._backups if one.name == after or one.metadata["finish_time"] >= after]
            oldest = min([oldest, *late], key=self._backups.index)
        self._before(oldest, mode or "FIND_FULL")

    def _before(self, target: Backup, mode: str) -> None:
        if target.parent is not None:
            if mode != "FIND_FULL":
                raise WalgError(f"{target.name} is incremental and its predecessors cannot be deleted. Consider FIND_FULL option.")
            target = resolve(self._backups, target.sentinel["DeltaFullName"])
        doomed = [one for one in self._backups[: self._backups.index(target)] if not one.is_permanent]
        kept = [one for one in self._backups if one.is_permanent]
        first = self._segment(target.first_segment)
        names = {one.name for one in doomed} | self._leftovers(first)
        self._remove([*self._objects(names), *self._wal_before(min([first, *(self._segment(one.first_segment) for one in kept)]))])

    def _target(self, target: Backup, mode: str) -> None:
        if mode == "FIND_FULL":
            target = resolve(self._backups, target.sentinel.get("DeltaFullName", target.name))
        doomed = {target.name}
        for one in sorted(self._backups, key=lambda backup: backup.metadata["finish_time"]):
            if one.parent in doomed:
                doomed.add(one.name)
        permanent = [one.name for one in self._backups if one.name in doomed and one.is_permanent]
        if permanent:
            raise WalgError(f"unable to delete permanent backups: {', '.join(permanent)}")
        self._remove(self._objects(doomed))

    def _everything(self, *, forced: bool) -> None:
        permanent = [one.name for one in self._backups if one.is_permanent]
        if permanent and not forced:
            raise WalgError(f"found permanent objects: {', '.join(permanent)}")
        self._remove([*self._storage.names(found.FOLDER), *self._storage.names(WAL)])

    def _garbage(self, what: str) -> None:
        """Remove what no backup that was finished, and is not permanent, needs."""
        if not self._backups:
            say("No backups found, skipping", "WARNING")
            return
        segments = [self._segment(one.first_segment) for one in self._backups]
        first = min(segments)
        leftovers = [] if what == "ARCHIVES" else self._objects(self._leftovers(max(segments)))
        self._remove([*leftovers, *([] if what == "BACKUPS" else self._wal_before(first))])

    def _named(self, name: str) -> Backup:
        """Return the backup of this name, or the first that was finished after this time."""
        if found.segment_of(name):
            return resolve(self._backups, name)
        try:
            limit = datetime.fromisoformat(name).timestamp()
        except ValueError as error:
            raise WalgError(f"{name}: neither a backup nor a time") from error
        late = [one for one in self._backups if datetime.fromisoformat(one.metadata["finish_time"]).timestamp() >= limit]
        if not late:
            raise WalgError(f"no backup was finished after {name}")
        return late[0]

    def _leftovers(self, before: Segment) -> set[str]:
        """Return what was begun before and never finished."""
        begun = {name.removeprefix(found.FOLDER).partition("/")[0] for name in self._storage.names(found.FOLDER)}
        finished = {one.name for one in self._backups}
        named = {name: found.segment_of(name) for name in begun if name not in finished}
        return {name for name, segment in named.items() if segment and self._segment(segment) < before}

    def _objects(self, names: Iterable[str]) -> list[str]:
        """Return the objects of backups, the sentinels first: what is half removed is no backup any more."""
        objects = [one for name in names for one in self._storage.names(f"{found.FOLDER}{name}")]
        owned = [one for one in objects if one.removeprefix(found.FOLDER).removesuffix(found.SENTINEL).partition("/")[0] in set(names)]
        return sorted(owned, key=lambda name: (not name.endswith(found.SENTINEL), name))

    def _wal_before(self, first: Segment) -> list[str]:
        stored = self._storage.names(WAL)
        segments = {name: parse(name.removeprefix(WAL)[:_SEGMENT], segment_bytes(self._settings)) for name in stored}
        return [name for name, segment in segments.items() if segment and segment < first]

    def _segment(self, name: str) -> Segment:
        found_segment = parse(name, segment_bytes(self._settings))
        if found_segment is None:
            raise WalgError(f"{name}: no WAL segment")
        return found_segment

    def _remove(self, names: list[str]) -> None:
        for name in names:
            say(f"{name} {'will be deleted' if self._confirmed else 'would be deleted'}")
        if self._confirmed:
            self._storage.remove(names)
        else:
            say("Dry run, nothing was deleted; use --confirm")

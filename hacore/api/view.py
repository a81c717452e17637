"""What the answers of this process rest on: the shared picture, the newest measurement and the time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from hacore.api import status
from hacore.api.health import Check, needs_position
from hacore.api.positions import Positions
from hacore.model.clock import Clock, Instant
from hacore.publish.snapshot import Seen, SnapshotReader

_PARAMETERS_MAX = 50


@dataclass(slots=True, kw_only=True)
class View:
    """Looks once for each request. Documents that do not change between two turns are written once."""

    name: str
    scope: str
    reader: SnapshotReader
    positions: Positions
    clock: Clock
    started_at: Instant
    _written: tuple[int, bytes] = field(default=(-1, b""))

    def check(self, path: str, query: str) -> Check:
        """Return what a health check rests on. Positions must have been measured before, where it needs them."""
        seen = self.reader.read()
        parameters = first_values(query) if query else {}
        measured = self.positions.latest() if needs_position(path, query) else _of(seen)
        return Check(seen=seen, now=self.clock.now(), measured=measured, query=parameters)

    def fresh(self) -> Check:
        """Return what rests on the measurement that was just made."""
        return Check(seen=self.reader.read(), now=self.clock.now(), measured=self.positions.latest())

    def document(self, check: Check) -> bytes:
        """Write the status document with what was measured just now."""
        picture = check.seen.picture
        if picture is None or not check.seen.is_fresh(check.now):
            return self._unheard(check.measured)
        return json.dumps(status.document(picture, check.measured), default=str).encode()

    def shared_document(self, check: Check) -> bytes:
        """Write the status document of the shared picture, once for each picture."""
        if not check.seen.is_fresh(check.now):
            return self._unheard(None)
        generation, written = self._written
        if generation != check.seen.generation:
            written = self.document(check)
            self._written = (check.seen.generation, written)
        return written

    def _unheard(self, measured: status.Measured | None) -> bytes:
        return json.dumps(status.unheard(self.name, self.scope, measured)).encode()


def first_values(query: str) -> Mapping[str, str]:
    """Return the first value of each parameter; none of too many, or of such that cannot be read."""
    try:
        found = parse_qsl(query, keep_blank_values=True, max_num_fields=_PARAMETERS_MAX)
    except ValueError:
        return {}
    return dict(reversed(found))


def _of(seen: Seen) -> status.Measured | None:
    return status.of_picture(seen.picture) if seen.picture is not None else None

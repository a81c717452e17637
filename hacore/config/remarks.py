"""What a dynamic configuration says and members will not do: for the person who is just writing it.

Everything here is accepted and stored. What cannot be stored is in ``dynamic.faults``, what a member finds beside its own file in
``effective``.
"""

from collections.abc import Mapping
from typing import Any

from hacore.config import backups, timing
from hacore.config.controlled import controlled_parameters
from hacore.config.dynamic import unknown
from hacore.config.effective import readable_parameters
from hacore.config.features import unsupported
from hacore.config.keys import Dynamic, Reading
from hacore.config.postgresql_keys import LOCAL_ONLY


def remarks(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each value that is clamped, replaced by its default or ignored, and for each key that nobody here knows."""
    said: list[str] = []
    reading = Reading(config)
    section = reading.take(Dynamic.POSTGRESQL)
    timing.read_times(reading, said)
    own = reading.take(Dynamic.HACORE)
    timing.read_own_times(own, reading, said)
    backups.read_backup(own, reading)
    timing.read_draining(own, reading)
    controlled_parameters(readable_parameters(section.get("parameters"), said), said)
    said.extend(f"postgresql.{name}: counts only in each node's own file" for name in sorted(LOCAL_ONLY & section.keys()))
    said.extend(unsupported(reading))
    said.extend(reading.raised)
    said.extend(str(one) for one in unknown(config))
    return tuple(dict.fromkeys(said))

"""Features of the field that are read and checked, and do not work yet.

In the dynamic configuration, where another member may put one at any time, it is ignored, shown, and keeps a node from leading where
leading without it would break what the cluster's operator relies on. Before it is used by us, it is an error.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from hacore.config.fault import ConfigFaultsError, Fault
from hacore.config.keys import Dynamic, Key, Reading
from hacore.config.settings import LocalSettings

NOT_YET: Final = "does not work yet"


def _synchronous(value: str) -> bool:
    return value != "off"


def _standby(value: dict[str, Any]) -> bool:
    return any(value.get(name) for name in ("host", "port", "restore_command"))


_FEATURES: Final[tuple[tuple[Key[Any], Callable[[Any], bool]], ...]] = (
    (Dynamic.SYNCHRONOUS_MODE, _synchronous),
    (Dynamic.STANDBY_CLUSTER, _standby),
    (Dynamic.FAILSAFE_MODE, bool),
    (Dynamic.SLOTS, bool),
    (Dynamic.IGNORE_SLOTS, bool),
)
# A leader that ignores these would acknowledge what is not safe, or be a second writable copy of another cluster.
_NEEDED_TO_LEAD: Final = frozenset({Dynamic.SYNCHRONOUS_MODE.name, Dynamic.STANDBY_CLUSTER.name})
FEATURE_NAMES: Final = frozenset(name for key, _ in _FEATURES for name in key.names)


def switched_on(reading: Reading) -> Iterator[Key[Any]]:
    """Return the keys of features that a dynamic configuration switches on."""
    yield from (key for key, is_on in _FEATURES if is_on(reading.take(key)))


def asked_for(reading: Reading) -> Iterator[str]:
    """Return their names, as they are written there."""
    for key in switched_on(reading):
        yield next(name for name in key.names if reading.values.get(name) is not None)


def unsupported(reading: Reading) -> tuple[str, ...]:
    """Return a sentence for each feature that is ignored."""
    return tuple(f"{name} {NOT_YET} and is ignored" for name in asked_for(reading))


def check_bootstrap(local: LocalSettings) -> None:
    """Check what a new cluster would begin with, just before it does.

    :raises ConfigFaultsError: ``bootstrap.dcs`` asks for something that does not work yet.
    """
    dcs = local.bootstrap.dcs if local.bootstrap is not None else {}
    names = tuple(asked_for(Reading(dcs)))
    if names:
        raise ConfigFaultsError(
            Fault(
                file=None,
                line=None,
                path=f"bootstrap.dcs.{name}",
                found=None,
                wanted=f"{name} {NOT_YET}: take it out, or make the cluster without it",
            )
            for name in names
        )


def refusal_of_election(reading: Reading) -> str | None:
    """Return why this node must not lead while it ignores a feature, or ``None``."""
    needed = [name for name in asked_for(reading) if name in _NEEDED_TO_LEAD]
    # One that cannot be read may be one that is asked for.
    needed += sorted({str(path[0]) for path in reading.wrong} & _NEEDED_TO_LEAD)
    return f"{' and '.join(needed)} {NOT_YET}: a leader that ignores it is not safe" if needed else None

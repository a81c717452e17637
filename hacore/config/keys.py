"""Keys that the dynamic configuration may carry: name, converter, default and limits, each in this one place.

Schemas check local files against them, ``effective`` reads the dynamic configuration through them without a schema library.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, cast

from hacore import convert
from hacore.config.fault import Path
from hacore.convert import Converter, WrongValueError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)  # with slots, `Key[int](...)` fails in Python 3.11
class Key(Generic[T_co]):
    """One key. A value below ``minimum`` is raised to it, and that is said."""

    name: str
    convert: Converter[T_co]
    default: T_co
    minimum: float | None = None
    aliases: tuple[str, ...] = ()  # older names, read where the name itself is absent
    overrides: tuple[str, ...] = ()  # other names that win over the name itself

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the key, in the order in which they count."""
        return (*self.overrides, self.name, *self.aliases)


@dataclass(slots=True)
class Reading:
    """One pass over a mapping: values come out typed, what is wrong is noted and the default taken."""

    values: Mapping[str, Any]
    path: Path = ()
    wrong: dict[Path, str] = field(default_factory=dict)
    raised: list[str] = field(default_factory=list)

    def take(self, key: Key[T]) -> T:
        """Return the value of a key, or its default where it is absent, null or wrong."""
        name = next((name for name in key.names if self.values.get(name) is not None), None)
        if name is None:
            return key.default
        try:
            found = key.convert(self.values[name])
        except WrongValueError as error:
            self.wrong |= {(*self.path, name, *part): wanted for part, wanted in error.parts.items()}
            return key.default
        if key.minimum is not None and isinstance(found, int | float) and found < key.minimum:
            place = ".".join(map(str, (*self.path, name)))
            self.raised.append(f"{place}: {found:g} is below the minimum, {key.minimum:g} is used")
            return cast("T", type(found)(key.minimum))  # a number stays of its type
        return found

    def take_rest(self, convert: Converter[T], *, without: frozenset[str]) -> dict[str, T]:
        """Return the values of all other keys that have one; wrong ones are left out and noted."""
        found = {}
        for name, value in self.values.items():
            if name in without or value is None:
                continue
            try:
                found[name] = convert(value)
            except WrongValueError as error:
                self.wrong |= {(*self.path, name, *part): wanted for part, wanted in error.parts.items()}
        return found


def keys_of(table: type) -> tuple[Key[Any], ...]:
    """Return the keys that a class lists."""
    return tuple(value for value in vars(table).values() if isinstance(value, Key))


def _switchable(*values: str) -> Converter[str]:
    return convert.choice(*values, synonyms={"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"})


def mapping(value: object) -> dict[str, Any]:
    """Return a mapping as it is; its parts are checked where they are used."""
    if not isinstance(value, Mapping):
        raise WrongValueError("a mapping")
    return dict(value)


def _listed_mappings(value: object) -> tuple[dict[str, Any], ...]:
    return convert.listed(mapping, "a list of mappings")(value)


def _slots(value: object) -> dict[str, Any]:
    return convert.mapped(_slot, "a mapping of slot names to their settings")(value)


def _slot(value: object) -> dict[str, Any]:
    return {} if value is None else mapping(value)


def _standby_cluster(value: object) -> dict[str, Any]:
    found = mapping(value)
    reading = Reading(found)
    for key in keys_of(StandbyCluster):
        reading.take(key)
    if reading.wrong:
        raise WrongValueError(reading.wrong)
    return found


class StandbyCluster:
    """Keys of the dynamic section ``standby_cluster``."""

    HOST = Key("host", convert.text, "")
    PORT = Key[str]("port", convert.text, "")
    PRIMARY_SLOT_NAME = Key("primary_slot_name", convert.word, "")
    CREATE_REPLICA_METHODS = Key[tuple[str, ...]]("create_replica_methods", convert.words_or_text, ())
    RESTORE_COMMAND = Key("restore_command", convert.text, "")
    ARCHIVE_CLEANUP_COMMAND = Key("archive_cleanup_command", convert.text, "")
    RECOVERY_MIN_APPLY_DELAY = Key("recovery_min_apply_delay", convert.text, "")


class Dynamic:
    """Keys at the top of the dynamic configuration."""

    TTL = Key("ttl", convert.seconds, 30.0, 20)
    LOOP_WAIT = Key("loop_wait", convert.seconds, 10.0, 1)
    RETRY_TIMEOUT = Key("retry_timeout", convert.seconds, 10.0, 3)
    MAXIMUM_LAG_ON_FAILOVER = Key("maximum_lag_on_failover", convert.size_bytes, 1 << 20, 0)
    CHECK_TIMELINE = Key("check_timeline", convert.flag, default=False)
    MAX_TIMELINES_HISTORY = Key("max_timelines_history", convert.whole(), 0, 0)
    PRIMARY_START_TIMEOUT = Key("primary_start_timeout", convert.seconds, 300.0, 0, ("master_start_timeout",))
    PRIMARY_STOP_TIMEOUT = Key("primary_stop_timeout", convert.seconds, 0.0, 0, ("master_stop_timeout",))
    MEMBER_SLOTS_TTL = Key("member_slots_ttl", convert.seconds, 1800.0, 0)
    PAUSE = Key("pause", convert.flag, default=False)
    SYNCHRONOUS_MODE = Key("synchronous_mode", _switchable("off", "on", "quorum"), "off")
    SYNCHRONOUS_MODE_STRICT = Key("synchronous_mode_strict", convert.flag, default=False)
    SYNCHRONOUS_NODE_COUNT = Key("synchronous_node_count", convert.whole(), 1, 1)
    MAXIMUM_LAG_ON_SYNCNODE = Key("maximum_lag_on_syncnode", convert.size_bytes, -1)
    FAILSAFE_MODE = Key("failsafe_mode", convert.flag, default=False)
    STANDBY_CLUSTER = Key[dict[str, Any]]("standby_cluster", _standby_cluster, {})
    SLOTS = Key[dict[str, Any]]("slots", _slots, {}, overrides=("permanent_replication_slots", "permanent_slots"))
    IGNORE_SLOTS = Key[tuple[dict[str, Any], ...]]("ignore_slots", _listed_mappings, ())
    POSTGRESQL = Key[dict[str, Any]]("postgresql", mapping, {})
    HACORE = Key[dict[str, Any]]("hacore", mapping, {})


class Own:
    """Keys of the own dynamic section ``hacore``. Its shorter times are in force only while every member is hacore."""

    TTL = Key[float | None]("ttl", convert.seconds, None, 3)
    LOOP_WAIT = Key[float | None]("loop_wait", convert.seconds, None, 0.2)
    RETRY_TIMEOUT = Key[float | None]("retry_timeout", convert.seconds, None, 0.5)
    BACKUP = Key[dict[str, Any]]("backup", mapping, {})  # its keys stand in ``backups``
    DRAIN_TIMEOUT = Key("drain_timeout", convert.seconds, 5.0, 0)
    DRAIN_POLICY = Key("drain_policy", convert.choice("proceed", "abort"), "proceed")


DYNAMIC_KEYS: Final = keys_of(Dynamic)
OWN_KEYS: Final = keys_of(Own)
STANDBY_CLUSTER_KEYS: Final = keys_of(StandbyCluster)

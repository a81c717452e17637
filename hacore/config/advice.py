"""What is not wrong in a local file and still not as its writer will have meant it. Said as warnings."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hacore.config import controlled
from hacore.config.fault import Path
from hacore.config.features import FEATURE_NAMES, NOT_YET, asked_for
from hacore.config.keys import DYNAMIC_KEYS, Reading

# The field ignores these in a local file; the other dynamic keys it does not even look for there.
DYNAMIC_NAMES: Final = frozenset(name for key in DYNAMIC_KEYS for name in key.names) - {"postgresql"}
_IGNORED_THERE: Final = "belongs into the dynamic configuration (bootstrap.dcs, or `hacore edit-config`), ignored here"


def errors(values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Return features of the local file that do not work yet."""
    top = {name: values[name] for name in FEATURE_NAMES & values.keys() if name != "standby_cluster"}
    for name in asked_for(Reading(top)):
        yield (name,), f"no such setting: {name} {NOT_YET}"
    if isinstance(values.get("citus"), Mapping):
        yield ("citus",), f"no such section: citus {NOT_YET}"


def warnings(values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Return what is ignored, or will surprise."""
    asked = set(asked_for(Reading({name: values[name] for name in FEATURE_NAMES & values.keys()}))) - {"standby_cluster"}
    for name in values:
        if name in DYNAMIC_NAMES and name not in asked:
            yield (name,), _IGNORED_THERE
    yield from _tags(_section(values, "tags"))
    yield from _postgresql(_section(values, "postgresql"))
    yield from _bootstrap(_section(values, "bootstrap"))
    for name in ("thread_pool_size", "thread_stack_size"):
        if values.get(name) is not None:
            yield (name,), "accepted without effect: hacore has no pool of threads that it would size"


def _tags(tags: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for switch, priority in (("nofailover", "failover_priority"), ("nosync", "sync_priority")):
        if tags.get(switch) is not None and tags.get(priority) is not None:
            yield ("tags", priority), f"{switch} stands beside it and wins"


def _postgresql(section: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    if section.get("use_slots") is not None:
        yield ("postgresql", "use_slots"), _IGNORED_THERE
    if section.get("use_unix_socket_repl") is not None:
        yield ("postgresql", "use_unix_socket_repl"), "accepted without effect: no replication connection is made to the own server"
    for name in ("data_dir", "config_dir"):
        if isinstance(path := section.get(name), str) and path[:1] not in {"/", "~"}:
            yield ("postgresql", name), "is taken from the directory in which hacore is started: an absolute path always means the same"
    parameters = section.get("parameters")
    if isinstance(parameters, Mapping):
        for name in parameters:
            if str(name).lower() in controlled.NAMES:
                wanted = "follows from listen and scope, ignored" if str(name).lower() in controlled.DERIVED else _IGNORED_THERE
                yield ("postgresql", "parameters", name), wanted


def _bootstrap(section: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    if section.get("users") is not None:
        yield ("bootstrap", "users"), "does nothing: create roles in post_bootstrap"
    method = section.get("method")
    if isinstance(method, str) and method != "initdb" and section.get(method) is None:
        yield ("bootstrap", "method"), f"initdb is used: there is no section {method}"
    dcs = section.get("dcs")
    if isinstance(dcs, Mapping):
        for name in asked_for(Reading(dcs)):
            yield ("bootstrap", "dcs", name), f"{NOT_YET}: this node refuses to make a new cluster with it"


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}

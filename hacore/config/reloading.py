"""What a running node takes from a configuration that was read again, and what it keeps until it is started again."""

from dataclasses import replace

from hacore.config.fault import Fault, Path, dotted
from hacore.config.loaded import LoadedConfig
from hacore.config.settings import LocalSettings

_WAITS = "changed, takes effect when hacore is started again"


def keep_fixed(old: LoadedConfig, new: LoadedConfig) -> LoadedConfig:
    """Return the new configuration with the old values of what cannot change under a running node, and a warning for each."""
    before, after = old.local, new.local
    base_name = before.postgresql.values.get("config_base_name")
    values = {name: value for name, value in after.postgresql.values.items() if name != "config_base_name"}
    if base_name is not None:
        values["config_base_name"] = base_name
    postgresql = replace(
        after.postgresql,
        data_dir=before.postgresql.data_dir,
        config_dir=before.postgresql.config_dir,
        pgpass=before.postgresql.pgpass,
        values=values,
    )
    restapi = replace(after.restapi, request_queue_size=before.restapi.request_queue_size, thread_pool_size=before.restapi.thread_pool_size)
    local = replace(
        after,
        name=before.name,
        scope=before.scope,
        namespace=before.namespace,
        restapi=restapi,
        postgresql=postgresql,
        guard=replace(after.guard, state_dir=before.guard.state_dir),
        dcs=before.dcs,  # a session is open with it
    )
    return replace(new, local=local, warnings=(*new.warnings, *_waiting(before, after, new)))


def _waiting(before: LocalSettings, after: LocalSettings, new: LoadedConfig) -> list[Fault]:
    pairs: dict[Path, tuple[object, object]] = {
        ("name",): (before.name, after.name),
        ("scope",): (before.scope, after.scope),
        ("namespace",): (before.namespace, after.namespace),
        ("restapi", "request_queue_size"): (before.restapi.request_queue_size, after.restapi.request_queue_size),
        ("restapi", "thread_pool_size"): (before.restapi.thread_pool_size, after.restapi.thread_pool_size),
        ("postgresql", "data_dir"): (before.postgresql.data_dir, after.postgresql.data_dir),
        ("postgresql", "config_dir"): (before.postgresql.config_dir, after.postgresql.config_dir),
        ("postgresql", "config_base_name"): (
            before.postgresql.values.get("config_base_name"),
            after.postgresql.values.get("config_base_name"),
        ),
        ("postgresql", "pgpass"): (before.postgresql.pgpass, after.postgresql.pgpass),
        ("guard", "state_dir"): (before.guard.state_dir, after.guard.state_dir),
        (after.dcs.name,): (before.dcs, after.dcs),
    }
    return [_warning(path, new) for path, (one, other) in pairs.items() if one != other]


def _warning(path: Path, new: LoadedConfig) -> Fault:
    place = new.places.get(path)
    return Fault(file=place.file if place else None, line=place.line if place else None, path=dotted(path), found=None, wanted=_WAITS)

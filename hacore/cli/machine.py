"""What of a configuration only this machine can tell: programs, data directory, ports, and what plugins find wrong."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hacore.cli.disk import wrong_on_disk
from hacore.cli.known import NONE_YET, known_here, known_in_store
from hacore.config import Effective, LoadedConfig, check_bootstrap, effective
from hacore.config.address import WILDCARD_HOSTS
from hacore.config.dynamic import BOOTSTRAP
from hacore.config.postgres_settings import PostgresSettings
from hacore.errors import ConfigError, DataDirectoryError, HacoreError
from hacore.hookspecs import PluginContext, Validate
from hacore.model.clock import BootClock
from hacore.model.policy import Policy
from hacore.plugins.registry import Registry
from hacore.plugins.reports import validate
from hacore.plugins.selection import agent_plugins
from hacore.postgres.archive_parameters import overruled
from hacore.postgres.conffile import parse_settings
from hacore.postgres.files import not_ours, read_if_there
from hacore.postgres.programs import Programs


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the configuration on this machine."""

    text: str
    is_fault: bool


def findings(loaded: LoadedConfig, *, online: bool, ports: bool) -> Iterator[Finding]:
    """Yield what is wrong (faults) and what may not be meant (warnings).

    :param online: ask also what plugins drive, and read the dynamic configuration from the store.
    :param ports: look whether the ports are free.
    """
    known = known_in_store(loaded) if online else known_here(loaded)
    if known.why_not not in {None, NONE_YET}:
        yield Finding(known.warning, is_fault=False)
    found = effective(loaded.local, known.config)
    yield from (Finding(text, is_fault=False) for text in _dynamic(found, known.origin))
    try:
        check_bootstrap(loaded.local)
    except ConfigError as error:
        for line in str(error).splitlines():
            yield Finding(line, is_fault=False)
    yield from _programs(found.postgres, is_named=found.postgres.bin_dir is not None)
    yield from _plugins(loaded, found.postgres, found.policy, online=online)
    yield from _archive(loaded, found.postgres)
    stranger = _stranger(Path(found.postgres.data_dir))
    if stranger is not None:  # no fault: who looks is not always who runs it
        yield Finding(f"postgresql.data_dir: {stranger}", is_fault=False)
    sees_enough = stranger is None or os.geteuid() == 0
    yield from (Finding(text, is_fault=sees_enough) for text in wrong_on_disk(loaded.local, found.postgres))
    if ports and not _has_server(Path(found.postgres.data_dir)):
        yield from _ports(loaded)


def _dynamic(found: Effective, origin: str) -> Iterator[str]:
    """Say what of the dynamic configuration is not in force as it is written, and what this node will not do for it."""
    yield from (f"{origin}: {warning}" for warning in found.warnings)
    if origin == BOOTSTRAP:  # no cluster is made with what does not work yet
        return
    yield from (f"{origin}: {sentence}" for sentence in found.unsupported)
    if found.policy.refuses_election is not None:
        yield f"{origin}: this node does not stand for election: {found.policy.refuses_election}"


def _stranger(data_dir: Path) -> str | None:
    """Return what there is to say to a person who is not the user that runs hacore; ``None`` where it may be that user."""
    if os.geteuid() != 0:
        return not_ours(data_dir)
    try:
        owner = data_dir.stat().st_uid
    except OSError:  # none yet
        return None
    return f"{data_dir}: belongs to user {owner}, run this as that user: hacore never runs as root, which may do more" if owner else None


def _has_server(data_dir: Path) -> bool:
    try:
        return (data_dir / "postmaster.pid").exists()
    except OSError:  # not ours to read
        return False


def _programs(postgres: PostgresSettings, *, is_named: bool) -> Iterator[Finding]:
    programs = Programs(postgres.bin_dir, postgres.bin_name)
    try:
        major = programs.major
    except (ConfigError, DataDirectoryError) as error:
        yield Finding(f"postgresql.bin_dir: {error}", is_fault=is_named)
        return
    version_file = Path(postgres.data_dir) / "PG_VERSION"
    try:
        there = version_file.read_text().strip()
    except OSError:  # not there yet, or not ours to read
        return
    if there != str(major):
        yield Finding(f"postgresql.data_dir: {version_file} says {there}, the programs are of {major}", is_fault=True)


def _plugins(loaded: LoadedConfig, postgres: PostgresSettings, policy: Policy, *, online: bool) -> Iterator[Finding]:
    local = loaded.local
    registry = Registry()
    try:
        registry.update(agent_plugins(local, postgres))
    except HacoreError as error:
        yield Finding(str(error), is_fault=True)
        return
    context = PluginContext(scope=local.scope, namespace=local.namespace, member=local.name, clock=BootClock(), policy=policy)
    try:
        wrong = validate(registry.every(), Validate(context=context, online=online))
    finally:
        registry.close()
    for name, sentences in wrong.items():
        yield from (Finding(f"plugins.{name}: {sentence}", is_fault=True) for sentence in sentences)


def _archive(loaded: LoadedConfig, postgres: PostgresSettings) -> Iterator[Finding]:
    """Say which settings of a person's own do not count beside an archive plugin."""
    if loaded.local.plugins.archive is None:
        return
    base = Path(postgres.config_dir or postgres.data_dir) / f"{postgres.config_base_name}.base.conf"
    try:
        text = read_if_there(base) or ""
    except OSError:  # not ours to read
        text = ""
    yield from (Finding(sentence, is_fault=False) for sentence in overruled(postgres, parse_settings(text)))


def _ports(loaded: LoadedConfig) -> Iterator[Finding]:
    local = loaded.local
    wanted = [("postgresql.listen", host, local.postgresql.port) for host in local.postgresql.listen_addresses]
    wanted.append(("restapi.listen", local.restapi.listen.host, local.restapi.listen.port))
    for key, host, port in wanted:
        reason = _in_use(host, port)
        if reason is not None:
            yield Finding(f"{key}: {host}:{port}: {reason}", is_fault=False)


def _in_use(host: str, port: int) -> str | None:
    bound = "" if host in WILDCARD_HOSTS else host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bound, port))
        except OSError as error:
            return os.strerror(error.errno) if error.errno else str(error)
    return None

"""Creating the cluster: initdb or a method of a person's own, the first start as primary, roles, ``post_bootstrap``.

The mark stands from before the first file until everything is done: what is found with it was never a cluster.
"""

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import psycopg2

from hacore.config.settings import BootstrapMethod, BootstrapRestore, BootstrapSettings
from hacore.errors import DataDirectoryError, HacoreError, JobCancelledError
from hacore.guard.client import GuardError
from hacore.model.node import Role
from hacore.postgres.authentication import minimal_hba, with_lines
from hacore.postgres.cleaning import clean_attempt, move_aside, refuse_foreign
from hacore.postgres.conninfo import endpoint, format_conninfo, options_of
from hacore.postgres.files import read_if_there, remove_durably, write_durably
from hacore.postgres.filling import Filling
from hacore.postgres.instance import Instance, superuser_name
from hacore.postgres.job import JobHandle
from hacore.postgres.passfile import login, temporary_passfile
from hacore.postgres.processes import Processes
from hacore.postgres.recovery import Recovery, recover, start_as_usual
from hacore.postgres.roles import create_roles, set_superuser_password
from hacore.postgres.seclusion import secluded
from hacore.postgres.start import Start, start
from hacore.postgres.surroundings import RestoreOrder, Surroundings

logger = logging.getLogger(__name__)

MARK: Final = "bootstrap"
_START_S: Final = 300.0
_RESTORE_S: Final = 86400.0
_TOLD: Final = 400
_EMPTY: Final = BootstrapSettings(dcs={}, method=None, initdb=(), pg_hba=(), post_bootstrap=None)
_LOCALE: Final = ("LC_ALL", "LC_CTYPE", "LANG")
_NO_ENCODING: Final = frozenset({"", "C", "POSIX"})
_OWN_ARGUMENTS: Final = frozenset({"scope", "datadir"})


def bootstrap(instance: Instance, job: JobHandle, around: Surroundings) -> None:
    """Make the first data directory of a cluster, and leave its server running as primary.

    What fails is stopped and moved to ``<data_dir>.failed``.

    :raises DataDirectoryError: it failed, or the directory is not empty.
    """
    token = around.token()
    if token is None:
        raise JobCancelledError("a cluster is created under a lease only")
    _make_room(instance)
    instance.archiving.forget()
    instance.mark.set(MARK)
    try:
        _create(instance, job, around, token)
    except (HacoreError, GuardError, OSError, psycopg2.Error):
        _give_up(instance)
        raise
    instance.files.keep_copies()
    Filling(instance.layout.state_dir).forget()
    instance.mark.clear()


def _make_room(instance: Instance) -> None:
    """A directory of an interrupted bootstrap is emptied; any other content is somebody's."""
    mark = instance.mark.read()
    if mark is not None and mark != MARK:
        raise DataDirectoryError(f"{instance.layout.data_dir}: unfinished {mark}, no cluster is created over it")
    refuse_foreign(instance, None)
    clean_attempt(instance)


def _create(instance: Instance, job: JobHandle, around: Surroundings, token: int) -> None:
    wanted = instance.bootstrap or _EMPTY
    if wanted.method is None:
        _initdb(instance, job, wanted)
        start(instance, job, Start(role=Role.PRIMARY, token=token, during=MARK, timeout_s=_START_S))
    elif wanted.method.restore is not None:
        _from_backup(instance, job, wanted, wanted.method.restore, token, around)
    else:
        _restore(instance, job, wanted, wanted.method, token, around)
    job.progress("roles and post_bootstrap")
    _post_bootstrap(instance, job, wanted, around)
    create_roles(instance)


def _initdb(instance: Instance, job: JobHandle, wanted: BootstrapSettings) -> None:
    job.progress("initdb")
    superuser = instance.settings.authentication.superuser
    options = [option.as_argument() for option in wanted.initdb]
    writes_hba = instance.settings.pg_hba is None and not wanted.pg_hba and "hba_file" not in instance.settings.parameters
    if writes_hba and superuser.password and not any(option.name.startswith("auth") for option in wanted.initdb):
        options.append("--auth=scram-sha-256")  # initdb then sets password_encryption as well, which PostgreSQL 13 needs
    environment = instance.server_environment()
    has_locale = any(environment.get(name, "C") not in _NO_ENCODING for name in _LOCALE)
    if not has_locale and not any(option.name in {"encoding", "locale"} for option in wanted.initdb):
        options.append("--encoding=UTF8")  # what initdb would choose without a locale keeps no text apart from bytes
    with _password_file(instance.layout.state_dir, superuser.password) as pwfile:
        argv = [
            instance.programs.path("initdb"),
            *options,
            f"--username={superuser_name(superuser)}",
            *([f"--pwfile={pwfile}"] if pwfile else []),
            f"--pgdata={instance.layout.data_dir}",
        ]
        finished = job.run(argv, environment=environment)
    if finished.exit_code != 0:
        raise DataDirectoryError(f"initdb ended with {finished.exit_code}: {finished.output.strip()[-_TOLD:]}")
    if writes_hba:
        instance.files.write_hba(minimal_hba(instance.settings.authentication))
    else:
        _append_hba(instance, wanted)


def _append_hba(instance: Instance, wanted: BootstrapSettings) -> None:
    """The field's rule: lines of ``bootstrap.pg_hba`` come after those of initdb, unless the whole file is configured."""
    if wanted.pg_hba and instance.settings.pg_hba is None and "hba_file" not in instance.settings.parameters:
        instance.files.write_hba(with_lines(read_if_there(instance.layout.hba) or "", wanted.pg_hba))


def _restore(
    instance: Instance, job: JobHandle, wanted: BootstrapSettings, method: BootstrapMethod, token: int, around: Surroundings
) -> None:
    """Run a method of a person's own, and the server until it has left the recovery that the method asked for."""
    job.progress(f"bootstrap method {method.name}")
    finished = job.run(_method_argv(instance, method), environment=instance.server_environment())
    if finished.exit_code != 0:
        raise DataDirectoryError(f"bootstrap method {method.name} ended with {finished.exit_code}: {finished.output.strip()[-_TOLD:]}")
    instance.replaced()
    instance.files.restore_missing()
    _append_hba(instance, wanted)
    remove_durably(instance.layout.promote_file)
    recovers = _set_recovery_signal(instance, method)
    job.progress("recovery")
    with secluded(instance) as alone:
        how = Start(
            role=Role.PRIMARY,
            token=token,
            during=MARK,
            timeout_s=_RESTORE_S,
            to_target=True,
            recovery=_recovery_conf(method),
            options={**alone, **({"hot_standby": "off"} if recovers else {})},
        )
        start(instance, job, how)
        set_superuser_password(instance)
        start_as_usual(instance, job, token, MARK, around)


def _from_backup(
    instance: Instance, job: JobHandle, wanted: BootstrapSettings, method: BootstrapRestore, token: int, around: Surroundings
) -> None:
    """Begin with a backup, of this cluster or of another: its files by the plugin, everything about recovery by us."""
    order = RestoreOrder(data_dir=str(instance.layout.data_dir), backup=method.backup, target=method.target, is_bootstrap=True)
    files = around.restore_files(order, job)
    instance.files.restore_missing()
    _append_hba(instance, wanted)
    how = Recovery(target=method.target, during=MARK, along=files.along, restore_command=files.restore_command)
    recover(instance, job, token, how, around)


def _method_argv(instance: Instance, method: BootstrapMethod) -> list[str]:
    argv = shlex.split(method.command)
    if not method.no_params:
        argv += [f"--scope={instance.settings.scope}", f"--datadir={instance.layout.data_dir}"]
    return argv + [f"--{name}={value}" for name, value in method.options.items() if name not in _OWN_ARGUMENTS]


def _set_recovery_signal(instance: Instance, method: BootstrapMethod) -> bool:
    """Make the next start recover as the method says; tell whether it will."""
    layout = instance.layout
    if method.keep_existing_recovery_conf:
        return layout.recovery_signal.exists() or layout.standby_signal.exists()
    remove_durably(layout.recovery_signal)
    remove_durably(layout.standby_signal)
    if not method.recovery_conf:
        return False
    path = layout.standby_signal if method.recovery_conf.get("standby_mode") in {"on", "true"} else layout.recovery_signal
    write_durably(path, "")
    return True


def _recovery_conf(method: BootstrapMethod) -> dict[str, str]:
    found = {name: value for name, value in method.recovery_conf.items() if name != "standby_mode"}
    if any(name.startswith("recovery_target") for name in found):
        found.setdefault("recovery_target_action", "promote")
    return found


def _post_bootstrap(instance: Instance, job: JobHandle, wanted: BootstrapSettings, around: Surroundings) -> None:
    superuser = instance.settings.authentication.superuser
    address = endpoint(instance.local_host(), int(instance.local_dsn()["port"]))
    values = {"dbname": instance.settings.database, **address, **options_of(superuser, instance.programs.major)}
    values.setdefault("user", superuser_name(superuser))
    conninfo = format_conninfo(values)
    with temporary_passfile(instance.layout.state_dir, login(superuser, "*", "*")) as passfile:
        if wanted.post_bootstrap is not None:
            environment = {
                **instance.server_environment(),
                "PGPASSFILE": str(passfile),
                "PGOPTIONS": "-c synchronous_commit=local -c statement_timeout=0",
            }
            finished = job.run([*shlex.split(wanted.post_bootstrap), conninfo], environment=environment)
            if finished.exit_code != 0:
                raise DataDirectoryError(f"post_bootstrap ended with {finished.exit_code}: {finished.output.strip()[-_TOLD:]}")
        around.after_bootstrap(conninfo, str(passfile))


@contextmanager
def _password_file(directory: Path, password: str | None) -> Iterator[Path | None]:
    if not password:
        yield None
        return
    path = directory / f"pgpass.{uuid4().hex}"
    write_durably(path, f"{password}\n")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _give_up(instance: Instance) -> None:
    """End what runs and move what there is out of the way, so that the next attempt, of whichever node, starts from nothing."""
    try:
        _end(instance, instance.processes)
        if instance.layout.data_dir.exists():
            aside = move_aside(instance)
            logger.error("the bootstrap failed, its directory was moved aside", extra={"directory": str(aside)})
        instance.mark.clear()
    except (HacoreError, GuardError, OSError) as error:
        logger.error("what the bootstrap left could not be moved aside", extra={"error": str(error)})  # noqa: TRY400 - the first fault counts


def _end(instance: Instance, processes: Processes) -> None:
    if processes.alive():
        instance.launcher.end(kill=True)

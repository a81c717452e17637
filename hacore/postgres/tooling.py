"""What a tool that works on this server is told of it: its programs, its environment, how it is reached."""

from pathlib import Path
from typing import Final

from hacore.errors import ConfigError
from hacore.hookspecs import BackupSite, PluginContext
from hacore.postgres.instance import Instance, superuser_name
from hacore.postgres.programs import C_LOCALE

_PROGRAMS: Final = (
    *("postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_controldata", "pg_isready"),
    *("pg_receivewal", "pg_verifybackup", "pg_combinebackup", "pg_checksums", "psql"),
)


def programs_of(instance: Instance) -> dict[str, str]:
    """Return the path of each server program by its usual name."""
    found = {}
    for name in _PROGRAMS:
        try:
            found[name] = instance.programs.path(name)
        except ConfigError:  # not every installation has them all; whoever needs it will say so
            continue
    return found


def environment_of(instance: Instance, passfile: Path | None = None) -> dict[str, str]:
    """Return the environment of a tool: ours without secrets, in the C locale."""
    return {**instance.server_environment(), **C_LOCALE, **({"PGPASSFILE": str(passfile)} if passfile is not None else {})}


def backup_site(instance: Instance, context: PluginContext, *, system_id: str | None, passfile: Path | None = None) -> BackupSite:
    """Return where a backup tool works."""
    file = instance.processes.pid_file()
    return BackupSite(
        context=context,
        system_id=system_id,
        major_version=instance.programs.major,
        data_dir=str(instance.layout.data_dir),
        socket_dir=(file.socket_dir or None) if file is not None else None,
        port=file.port if file is not None and file.port else instance.settings.port,
        superuser=superuser_name(instance.settings.authentication.superuser),
        programs=programs_of(instance),
        environment=environment_of(instance, passfile),
    )

"""What a configuration names on this machine's disk: directories that a run makes or writes in, certificates, and the programs of commands.

Nothing is changed. Certificates are read by the code that a run reads them with.
"""

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from hacore.api import tls
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.postgresql_keys import CALLBACKS
from hacore.config.settings import LocalSettings
from hacore.errors import ConfigError
from hacore.logs import FILE_NAME
from hacore.observe.peers import client_context
from hacore.plugins.replica import SCRIPT, methods_of
from hacore.plugins.selection import callback_commands
from hacore.postgres.files import not_ours


def wrong_on_disk(local: LocalSettings, postgres: PostgresSettings) -> Iterator[str]:
    """Yield a sentence for each thing that a run under this user would miss."""
    yield from _directories(local)
    yield from _certificates(local)
    yield from _files(local, postgres)
    for key, command in _commands(local, postgres):
        program = shlex.split(command)[0]
        if shutil.which(program) is None:
            yield f"{key}: {program}: no program, want one that user {os.geteuid()} may run"


def _directories(local: LocalSettings) -> Iterator[str]:
    state_dir = Path(local.guard.state_dir)
    yield from _unwritable("postgresql.data_dir", Path(local.postgresql.data_dir))
    others = not_ours(state_dir) if os.geteuid() else None
    if others is not None:
        yield f"guard.state_dir: {others}"
    elif not os.path.exists(state_dir.parent):  # noqa: PTH110 - what may not be looked at is not there either
        yield f"guard.state_dir: no directory {state_dir.parent}, want one in which {state_dir.name} can be made"
    else:
        yield from _unwritable("guard.state_dir", state_dir)
    if local.log.dir is not None:
        directory = Path(local.log.dir)
        file = directory / FILE_NAME
        yield from _unwritable("log.dir", file if file.is_file() else directory)


def _unwritable(key: str, path: Path) -> Iterator[str]:
    """Say why nothing can be written there, or, where there is nothing yet, why it cannot be made."""
    there = next(one for one in (path, *path.parents) if os.path.exists(one))  # noqa: PTH110 - as above
    if there != path and not there.is_dir():
        yield f"{key}: {there}: no directory"
    elif not os.access(there, os.W_OK):
        yield f"{key}: {there}: want one in which user {os.geteuid()} may write"


def _certificates(local: LocalSettings) -> Iterator[str]:
    try:
        if local.restapi.certfile is not None:
            tls.context(local.restapi)
        client_context(local.ctl)
    except ConfigError as error:
        yield str(error)


def _files(local: LocalSettings, postgres: PostgresSettings) -> Iterator[str]:
    config_dir, custom = Path(local.postgresql.config_dir), postgres.custom_conf
    if custom is None or (not Path(custom).is_absolute() and not config_dir.exists()):
        return
    path = config_dir / custom  # as the server finds it: beside the file that includes it
    if not os.access(path, os.R_OK):
        yield f"postgresql.custom_conf: {path}: no file that user {os.geteuid()} may read"


def _commands(local: LocalSettings, postgres: PostgresSettings) -> Iterator[tuple[str, str]]:
    for name, command in callback_commands(postgres).items():
        yield f"postgresql.callbacks.{name}" if name in CALLBACKS else f"postgresql.{name}", command
    for method in methods_of(postgres):
        if method.plugin == SCRIPT:
            yield f"postgresql.{method.name}.command", method.command or method.name
    bootstrap = local.bootstrap
    if bootstrap is not None and bootstrap.post_bootstrap is not None:
        yield "bootstrap.post_bootstrap", bootstrap.post_bootstrap
    if bootstrap is not None and bootstrap.method is not None and bootstrap.method.command:
        yield f"bootstrap.{bootstrap.method.name}.command", bootstrap.method.command

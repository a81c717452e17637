"""What the REST process must know of the configuration. A short-lived child reads it, so that no schema library stays in memory."""

from collections.abc import Mapping
from dataclasses import dataclass

from hacore.config import effective
from hacore.config.child import load_in_child
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import LogSettings, RestApiSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The part of the settings that this process works with."""

    name: str
    scope: str
    restapi: RestApiSettings
    log: LogSettings
    postgres: PostgresSettings
    state_dir: str


def load_settings(path: str | None, environ: Mapping[str, str]) -> ServerSettings:
    """Let a child read and check the configuration. What concerns plugins alone is the agent's affair.

    :raises ConfigError: it is wrong; the text names every fault.
    """
    local = load_in_child(path, environ, plugins=None).local
    return ServerSettings(
        name=local.name,
        scope=local.scope,
        restapi=local.restapi,
        log=local.log,
        postgres=effective(local, None).postgres,
        state_dir=local.guard.state_dir,
    )

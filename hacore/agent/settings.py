"""The configuration in force in the agent: the local part, and the dynamic one as the store last had it."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from hacore.backup.policy import BackupPolicy
from hacore.config import Effective, LoadedConfig, check_bootstrap, choose_times, effective
from hacore.config.child import load_in_child
from hacore.config.dynamic import accept, dump, last_known, write_cache
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.reloading import keep_fixed
from hacore.config.settings import LocalSettings
from hacore.errors import ConfigError, HacoreError
from hacore.interfaces import RouterTraits
from hacore.model.policy import Policy, Times
from hacore.model.world import Me
from hacore.plugins.replica import may_start_without_leader, methods_of
from hacore.plugins.routers import traits_by_name

logger = logging.getLogger(__name__)

PLUGIN_SCHEMAS: Final = "hacore.plugins.schemas:InstalledSchemas"
_NOT_ASKED: Final = object()


class SettingsSource:
    """Implements :class:`hacore.ports.Settings`."""

    def __init__(self, loaded: LoadedConfig, path: str | None, environ: Mapping[str, str]) -> None:
        self._loaded, self._path, self._environ = loaded, path, environ
        self._text: object = _NOT_ASKED
        self._dynamic: Mapping[str, Any] | None = last_known(loaded.local)[0]
        self._effective: Effective = effective(loaded.local, self._dynamic)
        self._traits: dict[str, RouterTraits] = {}  # of routers by name, asked once: a class does not change while it is loaded
        self._me = self._make_me()
        self._said: frozenset[str] = frozenset()
        self._reading = threading.Lock()
        self._read: LoadedConfig | HacoreError | None = None
        self._changed: list[Callable[[LocalSettings, PostgresSettings], None]] = []
        self._reloaded: list[Callable[[LocalSettings], None]] = []

    @property
    def local(self) -> LocalSettings:
        """The local settings in force."""
        return self._loaded.local

    @property
    def postgres(self) -> PostgresSettings:
        """What PostgreSQL shall run with."""
        return self._effective.postgres

    @property
    def backup(self) -> BackupPolicy:
        """What the cluster's configuration says about its backups."""
        return self._effective.backup

    @property
    def router_traits(self) -> Mapping[str, RouterTraits]:
        """What the routers that are named say of themselves.

        :raises PluginError: one cannot be had, or says something else.
        """
        self._traits |= traits_by_name(name for name in self.local.plugins.routers if name not in self._traits)
        return self._traits

    def on_change(self, told: Callable[[LocalSettings, PostgresSettings], None]) -> None:
        """Call ``told`` whenever other settings are in force.

        :raises HacoreError: ``told`` may raise it, to refuse a reload.
        """
        self._changed.append(told)

    def on_reload(self, told: Callable[[LocalSettings], None]) -> None:
        """Call ``told`` before the local settings that a person reloads are in force. A dynamic change leaves these as they are.

        :raises HacoreError: ``told`` may raise it, to refuse the reload.
        """
        self._reloaded.append(told)

    def me(self) -> Me:
        """Return who this node is."""
        return self._me

    def policy(self, dynamic: str | None) -> Policy:
        """Merge; text that is broken or missing leaves the last good one in force."""
        if dynamic is not None and dynamic != self._text:
            self._text = dynamic
            self._take_dynamic(dynamic)
        return self._effective.policy

    def times(self, policy: Policy, *, all_hacore: bool) -> Times:
        """Return the periods in force."""
        return choose_times(policy, all_members_hacore=all_hacore)

    def read_again(self) -> None:
        """Read the local configuration for the next :meth:`reload`. From any thread: a busy machine takes longer than a turn may last."""
        with self._reading:
            try:
                self._read = load_in_child(self._path, self._environ, plugins=PLUGIN_SCHEMAS)
            except HacoreError as error:
                self._read = error

    def reload(self) -> str | None:
        """Put what was read again in force, whole or not at all."""
        found, self._read = self._read, None
        old, old_effective = self._loaded, self._effective
        try:
            if isinstance(found, HacoreError):
                raise found
            if found is not None:  # else another reload has put it in force already
                self._loaded = keep_fixed(old, found)
                for told in self._reloaded:
                    told(self._loaded.local)
                self._use(effective(self._loaded.local, self._dynamic))
        except HacoreError as error:
            self._loaded, self._effective = old, old_effective
            self._me = self._make_me()
            logger.error("reload refused", extra={"error": str(error)})  # noqa: TRY400 - a fault of a person, not of ours
            return str(error)
        for fault in self._loaded.warnings if found is not None else ():
            logger.warning("configuration", extra={"warning": str(fault)})
        logger.info("configuration reloaded")
        return None

    def _take_dynamic(self, text: str | None) -> None:
        if text is None:
            return  # missing: the last good one stays
        accepted = accept(text, self._dynamic)
        for fault in accepted.faults:
            logger.error("dynamic configuration is not good: the last good one stays", extra={"fault": str(fault)})
        if accepted.config is None or (accepted.config == self._dynamic and self._said):
            return
        before = self._dynamic, self._effective
        self._dynamic = accepted.config
        try:
            self._use(effective(self._loaded.local, self._dynamic))
        except HacoreError as error:  # a plugin that it names cannot be had
            self._dynamic, self._effective = before
            self._me = self._make_me()
            logger.error("dynamic configuration is refused", extra={"error": str(error)})  # noqa: TRY400 - a fault of a person, not of ours
            return
        try:
            write_cache(self.local.postgresql.data_dir, accepted.config)
        except OSError as error:
            logger.warning("cache of the dynamic configuration was not written", extra={"error": str(error)})

    def _use(self, new: Effective) -> None:
        before = self._effective
        self._effective = new
        self._me = self._make_me()
        said = frozenset(new.warnings) | frozenset(new.unsupported)
        for warning in sorted(said - self._said):
            logger.warning("configuration", extra={"warning": warning})
        self._said = said
        if new.postgres != before.postgres or self._changed:
            for told in self._changed:
                told(self._loaded.local, new.postgres)

    def _make_me(self) -> Me:
        local, postgres = self._loaded.local, self._effective.postgres
        pg = local.postgresql
        try:
            check_bootstrap(local)
            refusal = None
        except ConfigError as error:
            refusal = str(error)
        return Me(
            name=local.name,
            scope=local.scope,
            conn_url=f"postgres://{pg.connect_address}/{postgres.database}",
            api_url=local.restapi.api_url,
            proxy_url=f"postgres://{pg.proxy_address}/{postgres.database}" if pg.proxy_address else None,
            tags=local.tags,
            may_bootstrap=local.bootstrap is not None,
            bootstrap_refusal=refusal,
            bootstrap_config=None if self._dynamic is None else dump(self._dynamic),
            leaderless_methods=may_start_without_leader(methods_of(postgres)),
            drains=any(self.router_traits[name].drains for name in local.plugins.routers),
        )

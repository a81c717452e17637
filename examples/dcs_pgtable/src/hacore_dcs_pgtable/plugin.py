"""The hooks of the store in a table."""

from collections.abc import Sequence
from typing import Final

from hacore.errors import ConfigError, DcsUnavailableError, PluginUnavailableError
from hacore.hookspecs import DcsPlugin, OpenDcs, PluginContext, Validate, hookimpl
from hacore.interfaces import Dcs, DcsCapabilities, SectionChecker
from hacore.sightings import Sightings
from hacore_dcs_pgtable.connection import Connection, RejectedError
from hacore_dcs_pgtable.dcs import TableDcs
from hacore_dcs_pgtable.settings import TableSettings
from hacore_dcs_pgtable.tables import Table
from hacore_dcs_pgtable.watch import CHANNEL, Watch

_OPEN_S: Final = 8.0
_WANTED: Final = "want what `python -m hacore_dcs_pgtable` prints to be run there by the owner of the database"


class TablePlugin(DcsPlugin):
    """Kind ``dcs``, section ``postgres_table``: a table on another PostgreSQL server, 14 or newer."""

    def __init__(self, settings: TableSettings) -> None:
        self._settings = settings

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_dcs_pgtable.schema import TableSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return TableSchema

    @staticmethod
    @hookimpl
    def hacore_dcs_capabilities() -> DcsCapabilities:
        """Return what the store can do."""
        return DcsCapabilities(ttl_is_minimum=True)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """With ``online``: read the table."""
        if not request.online:
            return ()
        try:
            self._opened(request.context).connection.close()
        except ConfigError as error:
            return (str(error),)
        except DcsUnavailableError as error:
            raise PluginUnavailableError(str(error)) from error
        return ()

    @hookimpl
    def hacore_open_dcs(self, request: OpenDcs) -> Dcs:
        """See that the table can be read, and prepare a session. It leaves nothing there until something is written."""
        context, sightings = request.context, Sightings(request.clock)
        table = self._opened(context)
        listening = Connection(self._settings, request.clock, limit_s=request.retry_timeout_s, greeting=f"LISTEN {CHANNEL}")
        watch = Watch(self._table(context, listening), sightings, request.clock, silence_s=request.loop_wait_s)
        return TableDcs(table=table, watch=watch, sightings=sightings, clock=request.clock)

    def _opened(self, context: PluginContext) -> Table:
        """Find out whether the table can be read."""
        limit_s = min(_OPEN_S, context.times.retry_timeout_s)
        table = self._table(context, Connection(self._settings, context.clock, limit_s=limit_s))
        try:
            table.look(until=context.clock.now() + limit_s)
        except RejectedError as error:
            raise ConfigError(f"postgres_table: {error}, {_WANTED}") from error
        return table

    @staticmethod
    def _table(context: PluginContext, connection: Connection) -> Table:
        cluster = "/".join(part for part in f"{context.namespace}/{context.scope}".split("/") if part)
        return Table(connection, cluster, context.member)

"""The archive of one server: its programs on the disk and its settings, made from what a plugin says.

What the plugin is, and whether its archive is this cluster's, is told by a call that the agent hands in.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError, PluginError, PluginUnavailableError
from hacore.interfaces import ArchiveSettings
from hacore.model.archive import ArchiveState
from hacore.model.node import ControlData
from hacore.postgres.archive_parameters import ArchiveWanted
from hacore.postgres.archive_scripts import ShimPlace
from hacore.postgres.archive_shim import DIRECTORY, ArchiveShim, ShimNotes, hold, read_notes, withhold
from hacore.postgres.layout import Layout

logger = logging.getLogger(__name__)

_UNSAID: Final = "its plugin does not say how"
_ANEW: Final = "this cluster has just begun, and its plugin has not said since how"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOrder:
    """How to reach the archive. ``held``: why nothing may be pushed; ``None``: it may."""

    settings: ArchiveSettings
    held: str | None = None


ArchiveCall = Callable[[str, int], ArchiveOrder]  # of a system identifier and a major version; raises PluginUnavailableError


class Archiving:
    """Keeps the newest order, for a plugin that does not answer later. Used by the loop's thread and the worker's."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._call: ArchiveCall | None = None
        self._order: ArchiveOrder | None = None
        self._forget: Callable[[], None] = lambda: None
        self.state: ArchiveState | None = None  # as whoever looks after the archive saw it last

    @property
    def is_wanted(self) -> bool:
        """Tell whether an archive is configured."""
        return self._call is not None

    def use(self, call: ArchiveCall | None, forget: Callable[[], None] = lambda: None) -> None:
        """Ask ``call`` from now on; ``None``: there is no archive."""
        with self._lock:
            self._call, self._order, self._forget = call, None, forget

    def forget(self) -> None:
        """A copy of a cluster may be about to become one: whose the archive is must be asked before it gets anything.

        The program that pushes says so, too: where the plugin does not answer, what stands on the disk is what PostgreSQL runs.

        :raises DataDirectoryError: the disk did not take it.
        """
        with self._lock:
            forget, self._order = self._forget, None
            try:
                withhold(self._directory, _ANEW)
            except OSError as error:
                raise DataDirectoryError(f"{self._directory}: programs of the archive not written: {error}") from error
        forget()

    def write(self, control: ControlData) -> ArchiveWanted | None:
        """Write the programs; return what the server's configuration must say, ``None`` without an archive.

        A plugin that does not answer changes nothing: what it said before stays. Where it has never said anything, WAL is kept.

        :raises DataDirectoryError: the disk did not take the programs.
        """
        with self._lock:
            if self._call is None:
                return None
            order = self._newest(self._call, control)
            place = ShimPlace(directory=self._directory, data_dir=self._layout.data_dir, segment_bytes=control.wal_segment_bytes)
            try:
                return _put(place, order)
            except OSError as error:
                raise DataDirectoryError(f"{self._directory}: programs of the archive not written: {error}") from error

    def shim(self, control: ControlData) -> ArchiveShim | None:
        """Return what stands on the disk after :meth:`write`; ``None`` without an archive or without an answer of its plugin."""
        order = self._order
        if order is None or self._call is None:
            return None
        place = ShimPlace(directory=self._directory, data_dir=self._layout.data_dir, segment_bytes=control.wal_segment_bytes)
        return ArchiveShim(place=place, settings=order.settings, held=order.held)

    def notes(self) -> ShimNotes:
        """Return what the programs have noted."""
        return read_notes(self._directory)

    @property
    def _directory(self) -> Path:
        return self._layout.state_dir / DIRECTORY

    def _newest(self, call: ArchiveCall, control: ControlData) -> ArchiveOrder | None:
        try:
            self._order = call(control.system_id, control.major_version)
        except (PluginUnavailableError, PluginError) as error:
            logger.warning("the archive's plugin does not answer, what it said before stays", extra={"error": str(error)})
        return self._order


def _put(place: ShimPlace, order: ArchiveOrder | None) -> ArchiveWanted:
    if order is not None:
        shim = ArchiveShim(place=place, settings=order.settings, held=order.held)
        try:
            if shim.write():
                logger.info("programs of the archive written", extra={"directory": str(place.directory), "held": order.held or ""})
        except PluginError as error:
            logger.error("the archive's plugin says what cannot be done", extra={"error": str(error)})  # noqa: TRY400 - not a fault of ours
        else:
            return ArchiveWanted(
                archive_command=shim.archive_command,
                restore_command=shim.restore_command,
                library=order.settings.library if order.held is None else None,
                parameters=order.settings.parameters,
            )
    push, fetch = hold(place, _UNSAID)
    return ArchiveWanted(archive_command=push, restore_command=fetch)

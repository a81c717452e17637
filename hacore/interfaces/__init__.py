"""The objects that plugins hand to the core, and the values that pass between them; a module for each kind of plugin.

With ``hacore.model``, ``hacore.errors``, ``hacore.hookspecs`` and ``hacore.testing`` this is the whole world of a plugin author.
A refusal is a value; an exception means "could not find out" (:class:`hacore.errors.DcsUnavailableError`).
"""

from hacore.interfaces.any_kind import Metric, SectionChecker
from hacore.interfaces.archive import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveSettings, ArchiveStatus, Identity
from hacore.interfaces.backup import Backup, BackupKind, BackupState, Expired, Restored, Verified
from hacore.interfaces.dcs import (
    Acquired,
    AcquireRequest,
    Dcs,
    DcsCapabilities,
    Put,
    Record,
    Refused,
    ReleaseRequest,
    Renewed,
    RenewRequest,
    Snapshot,
    WriteRequest,
    Written,
)
from hacore.interfaces.job import Failed, Finished, Job, Refusal
from hacore.interfaces.listener import Gate, GatePolicy, Veto
from hacore.interfaces.replica import Created, Offer, Source
from hacore.interfaces.router import Applied, Degraded, Endpoint, Held, Hold, Layer, Observed, RouterTraits, RoutingState

__all__ = [
    "AcquireRequest",
    "Acquired",
    "Applied",
    "ArchiveConflict",
    "ArchiveEmpty",
    "ArchiveOwned",
    "ArchiveSettings",
    "ArchiveStatus",
    "Backup",
    "BackupKind",
    "BackupState",
    "Created",
    "Dcs",
    "DcsCapabilities",
    "Degraded",
    "Endpoint",
    "Expired",
    "Failed",
    "Finished",
    "Gate",
    "GatePolicy",
    "Held",
    "Hold",
    "Identity",
    "Job",
    "Layer",
    "Metric",
    "Observed",
    "Offer",
    "Put",
    "Record",
    "Refusal",
    "Refused",
    "ReleaseRequest",
    "RenewRequest",
    "Renewed",
    "Restored",
    "RouterTraits",
    "RoutingState",
    "SectionChecker",
    "Snapshot",
    "Source",
    "Verified",
    "Veto",
    "WriteRequest",
    "Written",
]

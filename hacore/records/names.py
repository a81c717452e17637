"""Names of the records of one cluster, relative to the cluster."""

from typing import Final

INITIALIZE: Final = "initialize"
CONFIG: Final = "config"
STATUS: Final = "status"
OPTIME: Final = "optime/leader"  # position of the leader before ``status`` was invented; only read
FAILOVER: Final = "failover"
SYNC: Final = "sync"
HISTORY: Final = "history"
OWN: Final = "hacore"
BACKUP: Final = "backup"  # hacore's own: what goes on with the cluster's backups
MEMBERS: Final = "members"

NO_FAILOVER: Final = "{}"  # the failover record is blanked, never deleted


def member_name(name: str) -> str:
    """Return the name of the record of the member called ``name``."""
    return f"{MEMBERS}/{name}"

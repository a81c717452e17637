"""A run of the server that nobody but us gets into: what it serves is not decided yet, and its passwords are not known.

It listens on a socket alone, in a directory that only this user can enter, and takes its rules from there: those for clients stay as they
are.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from hacore.postgres.files import write_durably
from hacore.postgres.instance import Instance
from hacore.postgres.scratch import make_place_for_sockets

_PLACE: Final = "recovery"  # below the state directory
_HBA: Final = "local all all trust\n"


@contextmanager
def secluded(instance: Instance) -> Iterator[Mapping[str, str]]:
    """Give the options of a server that runs within the block; its lock file tells our sessions where it listens."""
    beside = instance.layout.state_dir / _PLACE
    shutil.rmtree(beside.with_name(f"{_PLACE}.run"), ignore_errors=True)  # of an agent that was killed
    place = make_place_for_sockets(beside)
    try:
        hba = place / "pg_hba.conf"
        write_durably(hba, _HBA)
        yield {
            "listen_addresses": "",
            "unix_socket_directories": str(place),
            "unix_socket_permissions": "0700",
            "hba_file": str(hba),
        }
    finally:
        shutil.rmtree(place, ignore_errors=True)

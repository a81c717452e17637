"""Programs as an unprivileged user with a few Linux capabilities, as a service manager starts them, and what a process has of these."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hacore.testing.workdir import server_user

NET_ADMIN: Final = 12
NET_RAW: Final = 13
_NAMES: Final = {NET_ADMIN: "net_admin", NET_RAW: "net_raw"}


def with_only(capabilities: Iterable[int], user: str | None = None) -> tuple[str, ...]:
    """Words before a command: as the unprivileged user, who keeps these capabilities over each exec, as with ``AmbientCapabilities=``."""
    who = user or server_user()
    wanted = ",".join(("-all", *(f"+{_NAMES[one]}" for one in capabilities)))
    as_user = () if who is None else (f"--reuid={who}", f"--regid={who}", "--clear-groups")
    return ("setpriv", *as_user, f"--inh-caps={wanted}", f"--ambient-caps={wanted}", f"--bounding-set={wanted}")


def capabilities_of(pid: int | str, kind: str = "CapEff") -> frozenset[int]:
    """The capabilities of a process, of one of the kinds in ``/proc/PID/status``: ``CapEff``, ``CapPrm``, ``CapAmb``.

    :raises OSError: there is no such process.
    """
    return read_capabilities(Path(f"/proc/{pid}/status").read_text(), kind)


def read_capabilities(status: str, kind: str = "CapEff") -> frozenset[int]:
    """The same, from the text of that file."""
    word = next(line.split()[1] for line in status.splitlines() if line.startswith(f"{kind}:"))
    mask = int(word, 16)
    return frozenset(bit for bit in range(mask.bit_length()) if mask >> bit & 1)

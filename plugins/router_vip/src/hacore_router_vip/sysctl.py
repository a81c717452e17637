"""What a floating address needs of an interface's switches below ``/proc/sys/net``. The administrator of the network may set them."""

from pathlib import Path
from typing import Final

_ROOT: Final = Path("/proc/sys/net")


def keeps_secondaries(interface: str) -> bool:
    """Make sure that the other addresses of a subnet outlive the one that happens to be its first. Answers whether they do.

    Without it the kernel removes all of them with the first, and that may be the floating one if it came before the machine's own.
    """
    switches = [_ROOT / "ipv4" / "conf" / name / "promote_secondaries" for name in ("all", interface)]
    return any(_is_on(switch) for switch in switches) or _switch_on(switches[-1])


def announces_itself(interface: str) -> bool:
    """Have the kernel announce new IPv6 addresses once it has seen that nobody else has them. Answers whether it does."""
    switch = _ROOT / "ipv6" / "conf" / interface / "ndisc_notify"
    return _is_on(switch) or _switch_on(switch)


def _is_on(switch: Path) -> bool:
    try:
        return switch.read_text().strip() != "0"
    except OSError:
        return False


def _switch_on(switch: Path) -> bool:
    try:
        switch.write_text("1\n")
    except OSError:
        return False
    return True

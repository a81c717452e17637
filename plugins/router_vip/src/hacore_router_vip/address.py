"""The floating addresses of this node, there or not, compared with the kernel each time. It does not know who leads: it is told."""

import errno
import logging
from typing import Final

from hacore.interfaces import Applied, Degraded
from hacore.model.clock import Clock, Instant
from hacore_router_vip import kernel, sysctl
from hacore_router_vip.announcer import Announcer, Task
from hacore_router_vip.kernel import KernelRefusedError, Link, Standing
from hacore_router_vip.lifetime import whole_seconds
from hacore_router_vip.settings import FloatingAddress, VipSettings
from hacore_router_vip.wire import Place, may_send_packets

logger = logging.getLogger(__name__)

_IPV4_BITS: Final = 32
_REASONS: Final = {
    errno.EPERM: "want CAP_NET_ADMIN, see the drop-in of the unit",
    errno.EACCES: "IPv6 is switched off on the interface, want net.ipv6.conf.INTERFACE.disable_ipv6 = 0",
}


class Addresses:
    """Used by the plugin's own thread alone."""

    def __init__(self, settings: VipSettings) -> None:
        self._settings = settings
        self._ips = tuple(one.ip for one in settings.addresses)
        self._was_silent = False  # nobody could hear the announcement of what is here
        self.announcer = Announcer(settings)
        self.with_packets: bool | None = None  # ``None``: not tried yet

    def hold(self, valid_until: Instant, clock: Clock, *, may_come: bool) -> Applied | Degraded:
        """Have the addresses here until then; those that are here already, unless others may come."""
        try:
            return self._hold(valid_until, clock) if may_come or self.here() else Applied()
        except KernelRefusedError as error:
            return Degraded(reason=_explained(error))

    def let_go(self) -> Applied | Degraded:
        """Have the addresses here no more."""
        self.announcer.let_go()
        try:
            found = self.here()
            for one in found:
                kernel.remove(one)
        except KernelRefusedError as error:
            return Degraded(reason=_explained(error))
        return Applied(detail=f"removed {_listed(found)}" if found else "")

    def here(self) -> list[Standing]:
        """Return where they stand on this machine."""
        return kernel.standing(self._ips)

    def close(self) -> None:
        """End the announcements. What stands stays until the lease ends: PostgreSQL may run on without this agent, or with the next."""
        self.announcer.close()

    def _hold(self, valid_until: Instant, clock: Clock) -> Applied | Degraded:
        link, found = kernel.link_named(self._settings.interface), self.here()
        left_s = whole_seconds(valid_until, clock.now())
        if left_s < 1:
            for one in [one for one in found if one.valid_s is None or one.valid_s > 1]:
                kernel.remove(one)
            return Degraded(reason=f"the lease ends in {valid_until - clock.now():.1f} s: an address stands for 1 s at least")
        if link is None:
            return Degraded(reason=f"there is no interface {self._settings.interface}")
        if not link.is_up:
            self._was_silent = True
            return Degraded(reason=f"{link.name} is down")
        there = {one.address for one in found if one.index == link.index}
        come = [one for one in self._settings.addresses if one not in there]
        if come:
            self.with_packets = may_send_packets()
        for one in found:
            if one.index != link.index or one.address not in self._settings.addresses:
                kernel.remove(one)  # under a prefix or on an interface of before
        problems = [
            self._put(link, address, whole_seconds(valid_until, clock.now()), is_new=address in come)
            for address in self._settings.addresses
        ]  # fmt: skip
        self._announce(link, valid_until, clock, anew=bool(come))
        return self._judged(link, come, [problem for problem in problems if problem is not None])

    def _put(self, link: Link, address: FloatingAddress, valid_s: int, *, is_new: bool) -> str | None:
        """Have one address there. Answers why not; the others are there nevertheless."""
        if valid_s < 1:  # this process stood still since it looked
            return f"{address}: the lease has less than 1 s left"
        if is_new and address.ip.version == 4 and address.prefix < _IPV4_BITS and not sysctl.keeps_secondaries(link.name):  # noqa: PLR2004
            reason = f"net.ipv4.conf.{link.name}.promote_secondaries is off and cannot be set, want it on or {address.ip}/32"
            logger.warning("the end of the floating address may take others of its subnet with it", extra={"reason": reason})
        probes_first = not self.with_packets and address.ip.version == 6 and sysctl.announces_itself(link.name)  # noqa: PLR2004
        try:
            kernel.put(link, address, valid_s=valid_s, label=self._settings.label, probes_first=probes_first)
        except KernelRefusedError as error:
            return _explained(error)
        return None

    def _announce(self, link: Link, valid_until: Instant, clock: Clock, *, anew: bool) -> None:
        anew = anew or (self._was_silent and link.has_carrier)
        self._was_silent = not link.has_carrier
        if link.mac is None:
            return  # nobody resolves addresses on such a link
        place, with_packets = Place(link, link.mac), bool(self.with_packets) if self.with_packets is not None else may_send_packets()
        self.with_packets = with_packets
        self.announcer.hold(Task(ips=self._ips, place=place, until=valid_until, clock=clock, with_packets=with_packets), anew=anew)

    def _judged(self, link: Link, come: list[FloatingAddress], problems: list[str]) -> Applied | Degraded:
        if problems:
            return Degraded(reason="; ".join(problems))
        refused = [one.address for one in self.here() if one.is_refused]
        if refused:
            return Degraded(reason=f"another machine has {', '.join(map(str, refused))}: the kernel does not use it here")
        if not link.has_carrier:
            return Degraded(reason=f"{link.name} is not connected")
        return Applied(detail=f"added {', '.join(map(str, come))} to {link.name}" if come else "")


def _listed(found: list[Standing]) -> str:
    return ", ".join(str(one.address) for one in found)


def _explained(error: KernelRefusedError) -> str:
    return f"{error}: {_REASONS[error.number]}" if error.number in _REASONS else str(error)

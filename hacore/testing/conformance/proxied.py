"""The faults of a store whose clients know its proxies alone: the same for every store that is reached over TCP."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hacore.testing.conformance.store import NetworkFaults, ServerFaults
from hacore.testing.faults.proxy import Fault, TcpProxy, all_suffering, newest_suffering


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxied:
    """A store behind proxies, one before each of its servers."""

    proxies: list[TcpProxy]

    def all_suffer(self, fault: Fault) -> AbstractContextManager[None]:
        """Put a fault on every way while the block lasts."""
        return all_suffering(self.proxies, fault)

    def one_suffers(self, fault: Fault) -> AbstractContextManager[None]:
        """Put a fault on the way that was used last."""
        return newest_suffering(self.proxies, fault)

    def network_faults(self, down: Callable[[], AbstractContextManager[None]]) -> NetworkFaults:
        """What :class:`NetworkConformance` does; ``down`` as there."""
        return NetworkFaults(
            down=down,
            slow=lambda delay_s: self.all_suffer(Fault(answer_delay_s=delay_s)),
            drip=lambda: self.all_suffer(Fault(drip_s=0.1)),
            deaf=lambda: self.all_suffer(Fault(swallow_answers=True)),
        )

    def server_faults(self) -> ServerFaults:
        """What :class:`SeveralServersConformance` does."""
        return ServerFaults(
            frozen=lambda: self.one_suffers(Fault(swallow_requests=True)),
            deaf=lambda: self.one_suffers(Fault(swallow_answers=True)),
        )

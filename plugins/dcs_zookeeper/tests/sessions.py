"""Sessions of this plugin, as its tests open them."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Renewed, RenewRequest
from hacore.testing.conformance.store import CALL_S, look, request_for
from hacore.testing.zookeeper import ZooKeeper
from hacore_dcs_zookeeper.plugin import ZookeeperPlugin
from hacore_dcs_zookeeper.settings import ZookeeperSettings
from plugins.dcs_zookeeper.tests.served import another_client

CLUSTER = "/hacore-kit/demo"


def settings_of(zookeeper: ZooKeeper, **more: Any) -> ZookeeperSettings:
    return ZookeeperSettings(hosts=tuple(zookeeper.endpoints), **more)


@contextlib.contextmanager
def opened(
    settings: ZookeeperSettings, member: str = "a", *, cluster: str = "demo", state: Path | None = None, observer: bool = False
) -> Iterator[Dcs]:
    request = replace(request_for(cluster, member, observer=observer), state_dir=str(state) if state is not None else None)
    with contextlib.closing(ZookeeperPlugin(settings).hacore_open_dcs(request)) as session:
        yield session


def owner(zookeeper: ZooKeeper, name: str) -> int:
    """The session that a node ends with; 0: it stays."""
    with another_client(zookeeper) as client:
        return int(client.exists(f"{CLUSTER}/{name}").ephemeralOwner)


def renewed(session: Dcs, instance: str, ttl_s: float = 10.0) -> bool:
    """Look and renew as a loop does that has lost its answers; ``False``: nobody answered."""
    with contextlib.suppress(DcsUnavailableError):
        lock = look(session).lock
        assert lock is not None
        assert lock.instance == instance
        assert isinstance(session.renew(RenewRequest(lock=lock, ttl_s=ttl_s), timeout_s=CALL_S), Renewed)
        return True
    return False


def answered(call: Callable[[], object]) -> bool:
    """Make a call that may find nobody."""
    with contextlib.suppress(DcsUnavailableError):
        call()
        return True
    return False

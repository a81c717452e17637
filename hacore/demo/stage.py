"""The cluster of the demonstration from its directory to its end: whatever happens, no process and no file of it is left behind.

After a failure the logs stay, and are named. It does not know what is shown on the stage.
"""

import contextlib
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from hacore.demo.place import Place
from hacore.testing.cluster import Cluster, sqlite_store
from hacore.testing.workdir import give_away

TTL_S: Final = 5
LAG_LIMIT_BYTES: Final = 1048576
_TEMPORARY: Final = "/tmp"  # noqa: S108 - a path that is short enough for sockets and open to the servers' user; mkdtemp makes an own one in it
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DYNAMIC: Final = {
    "hacore": {"ttl": TTL_S, "loop_wait": 1, "retry_timeout": 1},
    "maximum_lag_on_failover": LAG_LIMIT_BYTES,
    "postgresql": {"use_pg_rewind": True, "parameters": {"fsync": "on"}},  # figures of a server that keeps its promises
}


@dataclass(slots=True)
class Stage:
    """A cluster in its directory."""

    cluster: Cluster
    directory: Path
    keep_logs: bool = False  # something went wrong


@contextlib.contextmanager
def set_up(place: Place, say: Callable[[str], None]) -> Iterator[Stage]:
    """Set up three nodes, which the caller starts. SIGTERM and a closed terminal end the block as Ctrl-C does.

    :raises KeyboardInterrupt: somebody wants an end; by then nothing is left.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_interrupted_by_signals())
        path = Path(tempfile.mkdtemp(prefix="hacore-demo-", dir=_TEMPORARY))  # for its owner alone
        stack.callback(_remove, path, say)
        give_away(path, place.user)
        stage = Stage(cluster=_cluster(path, place), directory=path)
        stack.callback(_keep_logs, stage, say)
        stack.callback(stage.cluster.close)
        stack.callback(ignore_signals)  # the first thing at the end: no impatience may interrupt the clearing
        try:
            yield stage
        except KeyboardInterrupt:
            raise
        except BaseException:
            stage.keep_logs = True
            raise


def _cluster(path: Path, place: Place) -> Cluster:
    password = secrets.token_hex(16)
    local = {
        "postgresql": {
            "basebackup": [{"checkpoint": "fast"}],
            "authentication": {"superuser": {"password": password}, "replication": {"password": secrets.token_hex(16)}},
        }
    }
    cluster = Cluster(path, store=sqlite_store(path), dynamic=_DYNAMIC, local={"*": local}, server=place.directory, start=False)
    for node in cluster.nodes.values():
        node.password = password
    return cluster


def _keep_logs(stage: Stage, say: Callable[[str], None]) -> None:
    logs = sorted(stage.directory.glob("*.log"))
    if not stage.keep_logs or not logs:
        return
    kept = Path(tempfile.mkdtemp(prefix="hacore-demo-logs-", dir=_TEMPORARY))
    for log in logs:
        shutil.copyfile(log, kept / log.name)
    say(f"logs are kept: {' '.join(str(kept / log.name) for log in logs)}")


def _remove(path: Path, say: Callable[[str], None]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        say(f"could not be removed: {path}")


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _ENDS}
    for number in _ENDS:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def ignore_signals() -> None:
    """Let nobody interrupt what must be done to the end."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)

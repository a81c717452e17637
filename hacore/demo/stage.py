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
from hacore.testing.cluster import Cluster, ClusterError, ClusterNode, sqlite_store
from hacore.testing.workdir import WorkDirectory, give_away

TTL_S: Final = 5
LAG_LIMIT_BYTES: Final = 1048576
_TEMPORARY: Final = "/tmp"  # noqa: S108 - a path that is short enough for sockets and open to the servers' user; mkdtemp makes an own one in it
_STARTS: Final = 3
_WRONG_CONFIGURATION: Final = 2
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DYNAMIC: Final = {
    "hacore": {"ttl": TTL_S, "loop_wait": 1, "retry_timeout": 1},
    "maximum_lag_on_failover": LAG_LIMIT_BYTES,
    "postgresql": {"use_pg_rewind": True, "parameters": {"fsync": "off"}},  # only processes are lost here, no machine
}


@dataclass(slots=True)
class Stage:
    """A cluster in its directory."""

    cluster: Cluster
    directory: WorkDirectory  # to keep means: its logs, because something went wrong


@contextlib.contextmanager
def set_up(place: Place, say: Callable[[str], None]) -> Iterator[Stage]:
    """Set up three nodes, which the caller starts. SIGTERM and a closed terminal end the block as Ctrl-C does.

    :raises KeyboardInterrupt: somebody wants an end; by then nothing is left.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_interrupted_by_signals())
        directory = WorkDirectory(Path(tempfile.mkdtemp(prefix="hacore-demo-", dir=_TEMPORARY)))  # for its owner alone
        stack.callback(_clear, directory, say)
        give_away(directory.path, place.user)
        stage = Stage(cluster=_cluster(directory.path, place), directory=directory)
        stack.callback(stage.cluster.close)
        stack.callback(ignore_signals)  # the first thing at the end: no impatience may interrupt the clearing
        try:
            yield stage
        except KeyboardInterrupt:
            raise
        except BaseException:
            directory.keep = True
            raise


def _cluster(path: Path, place: Place) -> Cluster:
    password = secrets.token_hex(16)
    local = {
        "postgresql": {
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "authentication": {"superuser": {"password": password}, "replication": {"password": secrets.token_hex(16)}},
        },
    }
    cluster = Cluster(path, store=sqlite_store(path), dynamic=_DYNAMIC, local={"*": local}, server=place.directory, start=False)
    for node in cluster.nodes.values():
        node.password = password
    return cluster


def become_whole(cluster: Cluster, start_again: Callable[[ClusterNode, int], None], *, deadline_s: float) -> None:
    """Wait until the started nodes are a cluster. What ends meanwhile, with an exit code, is started again as a service manager would."""
    for _ in range(_STARTS):
        try:
            cluster.wait_ready(deadline_s=deadline_s)
        except ClusterError:
            ended = [(node, node.process.returncode) for node in cluster.nodes.values() if node.process is not None and node.process.poll()]
            if not ended or any(code == _WRONG_CONFIGURATION for _, code in ended):
                raise
            for node, code in ended:
                start_again(node, code)
        else:
            return
    cluster.wait_ready(deadline_s=deadline_s)


def _clear(directory: WorkDirectory, say: Callable[[str], None]) -> None:
    """Remove everything, but for the logs where they are to stay."""
    kept = sorted(directory.path.glob("*.log")) if directory.keep else []
    for path in directory.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path not in kept:
            path.unlink()
    if kept:
        say(f"logs are kept: {' '.join(str(log) for log in kept)}")
        return
    shutil.rmtree(directory.path, ignore_errors=True)
    if directory.path.exists():
        say(f"could not be removed: {directory.path}")


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

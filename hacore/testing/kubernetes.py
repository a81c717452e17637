"""A real Kubernetes API on free loopback ports, for tests: one or several API servers on one etcd, with RBAC, TLS and service accounts.

There is no kubelet and no controller: what a test wants to exist (namespaces, pods, roles) it creates, as plain objects. The servers run as
the unprivileged user of the other servers and keep their files below one directory. It knows nothing of hacore's objects.
"""

import contextlib
import secrets
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from hacore.testing.etcd import Etcd
from hacore.testing.kubernetes_api import KubernetesApi, KubernetesError
from hacore.testing.ports import Ports
from hacore.testing.server_process import ServerProcess, Servers
from hacore.testing.servers import locate
from hacore.testing.workdir import give_away

READY_S: Final = 60.0
_ADMIN: Final = "admin"


@dataclass(slots=True, kw_only=True)
class ApiServer(ServerProcess):
    """One API server: a process and its port."""

    port: int
    arguments: tuple[str, ...]

    def command(self) -> list[str]:
        """Return program and arguments."""
        return [str(locate("kube-apiserver").program("kube-apiserver")), "--secure-port", str(self.port), *self.arguments]


class Kubernetes(KubernetesApi, Servers):
    """API servers on one etcd, ready when its block is entered, gone when it is left.

    :param directory: an existing directory of the unprivileged user.
    :param size: how many API servers.
    """

    def __init__(self, directory: Path, *, size: int = 1, arguments: Sequence[str] = ()) -> None:
        super().__init__(authority=directory / "apiserver.crt", token=secrets.token_hex(16))
        self.directory = directory
        self.etcd = Etcd(directory)
        self._ports = Ports()
        self._make_files()
        given = (*self._arguments(), *arguments)
        self.servers = [
            ApiServer(name=f"apiserver{index}", directory=directory, port=self._ports.take(), arguments=given) for index in range(size)
        ]

    @property
    def port(self) -> int:
        """The port of the first API server that runs."""
        running = [server for server in self.servers if server.process is not None]
        if not running:
            raise KubernetesError("no API server runs")
        return running[0].port

    def start(self) -> None:
        """Start etcd and every API server that does not run, and wait until all answer."""
        self.etcd.start()
        for server in self.servers:
            if server.process is None:
                server.start()
        self.wait_ready()

    def stop(self) -> None:
        """Kill the API servers; etcd stays."""
        for server in self.servers:
            server.kill()

    def close(self) -> None:
        """End everything."""
        self.stop()
        self.etcd.close()
        self._ports.close()

    def wait_ready(self) -> None:
        """Wait until each running API server says that it is ready."""
        deadline = time.monotonic() + READY_S
        for server in self.servers:
            server.wait_ready(partial(self._is_ready, server), until=deadline)

    def save(self) -> Path:
        """Take a copy of the store as it is now."""
        return self.etcd.save()

    def restore(self, copy: Path) -> None:
        """Put the copy in the place of what etcd has now, with the API servers down meanwhile: they remember what they have read."""
        self.stop()
        self.etcd.restore(copy)
        self.start()

    # --------------------------------------------------------------------------------------------- inside
    def _is_ready(self, server: ApiServer) -> bool:
        with contextlib.suppress(OSError, KubernetesError):
            return self.ask("GET", "/readyz", port=server.port) == {"text": "ok"}
        return False

    def _arguments(self) -> tuple[str, ...]:
        files = {
            name: str(self.directory / name) for name in ("apiserver.crt", "apiserver.key", "accounts.key", "accounts.pub", "tokens.csv")
        }
        return (
            "--etcd-servers", self.etcd.members[0].url,
            "--bind-address", "127.0.0.1",
            "--tls-cert-file", files["apiserver.crt"],
            "--tls-private-key-file", files["apiserver.key"],
            "--client-ca-file", files["apiserver.crt"],
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", files["accounts.pub"],
            "--service-account-signing-key-file", files["accounts.key"],
            "--service-cluster-ip-range", "10.96.0.0/16",
            "--token-auth-file", files["tokens.csv"],
            "--authorization-mode", "RBAC",
            "--disable-admission-plugins", "ServiceAccount",
            "--endpoint-reconciler-type", "none",
        )  # fmt: skip

    def _make_files(self) -> None:
        names = "IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
        request = [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=kubernetes",
            "-addext",
            f"subjectAltName={names}",
        ]
        self._openssl(*request, "-keyout", "apiserver.key", "-out", "apiserver.crt")
        self._openssl("genrsa", "-out", "accounts.key", "2048")
        self._openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
        (self.directory / "tokens.csv").write_text(f'{self.token},{_ADMIN},{_ADMIN},"system:masters"\n')
        for name in ("apiserver.key", "apiserver.crt", "accounts.key", "accounts.pub", "tokens.csv"):
            (self.directory / name).chmod(0o600 if name.endswith(("key", "csv")) else 0o644)
            give_away(self.directory / name)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=READY_S)

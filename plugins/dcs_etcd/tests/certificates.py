"""Certificates for tests: an authority, and what it signs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from hacore.testing.etcd import Tls
from hacore.testing.workdir import give_away

HERE = "IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; all of its files are in one directory, which the servers' user can read."""

    directory: Path
    name: str = "authority"

    @classmethod
    def made(cls, directory: Path, name: str = "authority") -> "Authority":
        """Make one."""
        made = cls(directory, name)
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", str(made._file(".key")), "-out", str(made.certificate))  # fmt: skip
        return made

    @property
    def certificate(self) -> Path:
        return self._file(".crt")

    def issued(self, name: str, *, place: str = HERE, usage: str = "serverAuth,clientAuth", is_named: bool = True) -> Tls:
        """Sign a certificate. The gateway of etcd comes to its own server as a client, with the server's certificate: it is for both.

        :param is_named: it bears a common name.
        """
        key, request, certificate, extensions = (self.directory / f"{name}{end}" for end in (".key", ".csr", ".crt", ".ext"))
        extensions.write_text(f"subjectAltName={place}\nextendedKeyUsage={usage}\n")
        _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}" if is_named else "/",
                 "-keyout", str(key), "-out", str(request))  # fmt: skip
        _openssl("x509", "-req", "-days", "2", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._file(".key")),
                 "-CAcreateserial", "-extfile", str(extensions), "-out", str(certificate))  # fmt: skip
        for path in (key, certificate):
            give_away(path)
        return Tls(ca=self.certificate, certificate=certificate, key=key)

    def _file(self, end: str) -> Path:
        return self.directory / f"{self.name}{end}"


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)

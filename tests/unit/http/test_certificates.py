import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hacore.errors import ConfigError
from hacore.http.certificates import Encryption, Pem, TlsFiles, client_tls
from hacore.http.connection import Connection, Request
from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that signs itself, its key with and without a password, the key of another, and files that are none."""
    place = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "other", "server", "new-server", "new-ours"):
        openssl("req", "-addext", "subjectAltName=IP:127.0.0.1",
                "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", place / f"{name}.key", "-out", place / f"{name}.crt")  # fmt: skip
    openssl("pkcs8", "-topk8", "-in", place / "ours.key", "-out", place / "closed.key", "-passout", "pass:right")
    (place / "both.pem").write_text((place / "ours.crt").read_text() + (place / "ours.key").read_text())
    (place / "nonsense").write_text("nonsense\n")
    (place / "empty").touch()
    (place / "broken.crt").write_text((place / "ours.crt").read_text().replace("M", "?", 3))
    return place


def files(place: Path, **named: str | None) -> TlsFiles:
    names = {"cacert": "ours.crt", "cert": "ours.crt", "key": "ours.key", **named}
    return TlsFiles(**{key: Pem.of("store", key, name and str(place / name)) for key, name in names.items()})


def test_good_files_make_what_encrypts_and_verifies(place: Path) -> None:
    for good in (files(place), files(place, cert="both.pem", key=None), files(place, cert=None, key=None), TlsFiles()):
        context = client_tls(good)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert client_tls(files(place, key="closed.key"), password="right").cert_store_stats()["x509"] == 1
    assert client_tls(files(place), verify=False).verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("key", "name", "words"),
    [
        ("cacert", "gone.crt", "No such file"),
        ("cacert", ".", "Is a directory"),
        ("cacert", "nonsense", "no certificate in it"),
        ("cacert", "broken.crt", "no certificate in it"),
        ("cacert", "empty", "no certificate in it"),
        ("cacert", "ours.key", "no certificate in it"),
        ("cert", "gone.crt", "No such file"),
        ("cert", "nonsense", "no certificate in it"),
        ("cert", "ours.key", "no certificate in it"),
        ("key", "gone.key", "No such file"),
        ("key", "nonsense", "no key in it"),
        ("key", "ours.crt", "no key in it"),
        ("key", "other.key", "the key of another certificate"),
        ("key", "closed.key", "without a password"),
    ],
)
def test_of_several_files_only_the_wrong_one_is_named_with_its_key(place: Path, key: str, name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        client_tls(files(place, **{key: name}))
    said = str(caught.value)
    assert said.startswith(f"store.{key}: {place / name}: ")
    assert words in said
    assert [one for one in ("cacert", "cert", "key") if f"store.{one}:" in said] == [key]


def test_a_file_that_may_not_be_read_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # whoever runs the tests may read everything
    with pytest.raises(ConfigError, match=r"store\.cacert: .*ours\.crt: Permission denied"):
        client_tls(files(place))


@pytest.mark.parametrize("password", ["wrong", "w" * 2000])
def test_a_password_that_does_not_open_the_key_is_said_and_not_shown(place: Path, password: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.key: .*which the password opens") as caught:
        client_tls(files(place, key="closed.key"), password=password)
    assert password not in str(caught.value)


def test_a_certificate_whose_file_lacks_the_key_is_named_itself(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"^store\.cert: .*no key in it"):
        client_tls(replace(files(place), key=None))


@contextmanager
def listening(place: Path, name: str, *, believes: str) -> Iterator[str]:
    """A server that shows one certificate, wants another, and answers each connection once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / f"{name}.crt", place / f"{name}.key")
    context.load_verify_locations(place / f"{believes}.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), peer, context.wrap_socket(peer, server_side=True) as encrypted:
                    encrypted.recv(65536)
                    encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10.0)


def is_answered(endpoint: str, encryption: Encryption) -> bool:
    clock = BootClock()
    until = clock.now() + 10.0
    connection = Connection(endpoint, Resolver(clock), clock, encryption)
    try:
        connection.connect(until)
        return connection.ask(Request(method="GET", path="/"), until=until).body == b"yes"
    except OSError:  # also where the server says after the handshake that it does not believe us
        return False
    finally:
        connection.close()


def test_certificates_that_were_renewed_are_used_from_the_next_connection_on(place: Path, tmp_path: Path) -> None:
    used = files(tmp_path)

    def write(name: str, source: str) -> None:
        (tmp_path / name).write_bytes((place / source).read_bytes())

    for name, source in (("ours.crt", "ours.crt"), ("ours.key", "ours.key"), ("ca.crt", "server.crt")):
        write(name, source)
    encryption = Encryption.of(replace(used, cacert=Pem.of("store", "cacert", str(tmp_path / "ca.crt"))))
    with listening(place, "server", believes="ours") as before, listening(place, "new-server", believes="new-ours") as after:
        assert [is_answered(one, encryption) for one in (before, after)] == [True, False]
        write("ours.crt", "new-ours.crt")
        assert is_answered(before, encryption)  # the new key is not there yet: what was read before still counts
        write("ours.key", "new-ours.key")
        (tmp_path / "ca.crt").unlink()
        assert is_answered(before, encryption)
        write("ca.crt", "new-server.crt")
        assert [is_answered(one, encryption) for one in (before, after)] == [False, True]

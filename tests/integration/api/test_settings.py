"""What changes while the process runs, what TLS wants, and what the process does not load."""

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from hacore.testing.ports import free_port
from tests.integration.api.conftest import MakeRest
from tests.integration.api.rest import ROOT, Rest, wait_until
from tests.unit.api.samples import PRIMARY
from tests.unit.control.samples import scene

NOT_NEEDED = {"marshmallow", "rich", "click", "stevedore", "pluggy", "requests", "urllib3", "prometheus_client", "psutil", "sqlite3"}
NOT_OURS = ("hacore.plugins", "hacore.agent", "hacore.loop", "hacore.decide", "hacore.act", "hacore.cli", "hacore.builtin")


def certificate(directory: Path, name: str, *, ca: str | None = None) -> None:
    """Make ``name.crt`` and ``name.key``, signed by ``ca`` or by itself."""
    key, request, signed = (directory / f"{name}.{ending}" for ending in ("key", "csr", "crt"))
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl comes with the PostgreSQL packages"

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-subj", f"/CN={name}")
    if ca is None:
        run("req", "-x509", "-days", "2", *new, "-out", str(signed))
        return
    run("req", *new, "-out", str(request))
    issuer = ("-CA", str(directory / f"{ca}.crt"), "-CAkey", str(directory / f"{ca}.key"), "-CAcreateserial")
    run("x509", "-req", "-days", "2", "-in", str(request), *issuer, "-out", str(signed))


def client(directory: Path, *, name: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    context.check_hostname = False
    if name is not None:
        context.load_cert_chain(directory / f"{name}.crt", directory / f"{name}.key")
    return context


def presented(rest: Rest, context: ssl.SSLContext) -> bytes | None:
    with socket.create_connection(("127.0.0.1", rest.port), timeout=10) as plain, context.wrap_socket(plain) as secure:
        return secure.getpeercert(binary_form=True)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    certificate(tmp_path, "ca")
    for name in ("server", "client"):
        certificate(tmp_path, name, ca="ca")
    certificate(tmp_path, "stranger")
    return tmp_path


@pytest.fixture
def tls(make_rest: MakeRest, certificates: Path) -> Rest:
    files = {"certfile": "server.crt", "keyfile": "server.key", "cafile": "ca.crt"}
    rest = make_rest(**{name: str(certificates / file) for name, file in files.items()})
    rest.context = client(certificates)
    rest.start()
    rest.show(PRIMARY, lease_s=600.0)
    return rest


def refuses(rest: Rest, context: ssl.SSLContext) -> bool:
    rest.context = context
    try:
        return rest.ask("OPTIONS", "/primary").status == 0
    except OSError:
        return True


def test_checks_and_documents_come_over_tls(tls: Rest) -> None:
    assert tls.ask("OPTIONS", "/primary").raw == b"HTTP/1.0 200 OK\r\n\r\n"
    assert tls.get("/patroni").document["patroni"]["scope"] == "demo"
    with socket.create_connection(("127.0.0.1", tls.port), timeout=10) as plain:
        plain.sendall(b"GET /primary HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"200 OK" not in plain.recv(1000)


def test_a_client_certificate_is_asked_for_as_configured(tls: Rest, certificates: Path) -> None:
    context, _, _ = scene()
    tls.serve_agent(context)
    without, known, stranger = (client(certificates, name=name) for name in (None, "client", "stranger"))
    assert tls.ask("POST", "/reload").status == 202
    tls.reload(verify_client="optional")
    wait_until(lambda: tls.ask("POST", "/reload").status == 403)
    assert tls.ask("POST", "/reload").text == "client certificate required"
    assert tls.ask("OPTIONS", "/primary").status == 200
    tls.context = known
    assert tls.ask("POST", "/reload").status == 202
    assert refuses(tls, stranger)
    tls.context = known
    tls.reload(verify_client="required")
    wait_until(lambda: refuses(tls, without))
    assert not refuses(tls, known)


def test_a_new_certificate_is_used_after_a_reload_and_a_broken_one_never(tls: Rest, certificates: Path) -> None:
    context = client(certificates)
    first = presented(tls, context)
    certificate(certificates, "server", ca="ca")
    assert presented(tls, context) == first
    tls.reload()
    wait_until(lambda: presented(tls, context) != first)
    second = presented(tls, context)
    (certificates / "server.crt").write_text("no certificate")
    tls.reload()
    wait_until(lambda: tls.logged("cannot be used"))
    assert presented(tls, context) == second


def test_clients_that_shake_hands_slowly_keep_nobody_waiting(tls: Rest) -> None:
    slow = [socket.create_connection(("127.0.0.1", tls.port), timeout=10) for _ in range(100)]
    for number, one in enumerate(slow):
        one.sendall(b"\x16\x03\x01\x02\x00"[: number % 5])
    assert tls.ask("OPTIONS", "/primary").status == 200
    for one in slow:
        one.close()


def test_another_address_is_listened_on_after_a_reload(fresh: Rest) -> None:
    fresh.show(PRIMARY, lease_s=600.0)
    old, fresh.port = fresh.port, free_port()
    fresh.reload()
    wait_until(fresh.is_listening)
    assert fresh.ask("OPTIONS", "/primary").status == 200
    fresh.port = old
    wait_until(lambda: not fresh.is_listening())


def test_every_address_of_the_machine_can_be_listened_on_and_given_up_again(fresh: Rest) -> None:
    fresh.show(PRIMARY, lease_s=600.0)
    other = f"127.0.0.2:{fresh.port}"
    assert not reachable(other)
    fresh.reload(listen=f"*:{fresh.port}")
    wait_until(lambda: reachable(other))
    if socket.has_dualstack_ipv6():
        assert reachable(f"::1:{fresh.port}")
    fresh.reload()
    wait_until(lambda: not reachable(other))
    assert fresh.ask("OPTIONS", "/primary").status == 200


def reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def test_an_address_that_somebody_else_has_changes_nothing(fresh: Rest) -> None:
    fresh.show(PRIMARY, lease_s=600.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fresh.reload(listen=f"127.0.0.1:{taken.getsockname()[1]}", server_tokens="productonly")
        wait_until(lambda: fresh.logged("cannot be used"))
    assert fresh.get("/primary").headers["server"] == "gunicorn"


def test_a_broken_configuration_changes_nothing(fresh: Rest) -> None:
    fresh.show(PRIMARY, lease_s=600.0)
    fresh.reload(server_tokens="loud", http_extra_headers={"X": "a\r\nb"})
    wait_until(lambda: fresh.logged("refused"))
    assert fresh.logged("server_tokens")
    assert fresh.get("/primary").status == 200


def test_signals_that_are_not_meant_for_it_do_not_end_it(fresh: Rest) -> None:
    assert fresh.process is not None
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        fresh.process.send_signal(number)
    assert fresh.is_listening()


def test_a_configuration_that_is_wrong_ends_it_with_2(make_rest: MakeRest) -> None:
    rest = make_rest(server_tokens="loud")
    with pytest.raises(AssertionError, match="server_tokens"):
        rest.start()
    assert rest.process is not None
    assert rest.process.wait(10) == 2
    rest.process = None


def test_the_process_loads_only_what_it_needs() -> None:
    code = "import sys, json, hacore.api.process; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = json.loads(done.stdout)
    assert NOT_NEEDED & set(loaded) == set()
    assert [name for name in loaded if name.startswith((*NOT_OURS, "hacore_"))] == []

"""How members are asked: credentials, certificates, and what becomes of a member that does not behave."""

import base64
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from hacore.cli.rest import Answer, MemberApi
from hacore.config.settings import Credentials, CtlSettings
from hacore.errors import ConfigError
from hacore.model.cluster import Member

PASSWORD = "of the key"


def ctl(**fields: object) -> CtlSettings:
    plain: dict[str, object] = dict.fromkeys(("authentication", "cacert", "certfile", "keyfile", "keyfile_password"))
    return CtlSettings(**{"insecure": False, **plain, **fields})  # type: ignore[arg-type]


def ask(settings: CtlSettings, url: str, *, read_s: float = 5.0) -> Answer:
    with MemberApi(settings) as api:
        return api.ask(Member(name="n1", api_url=f"{url}/patroni"), "GET", "/patroni", read_s=read_s)


class Handler(http.server.BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str | None]]] = []
    moved = False

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.send_response(302 if self.moved else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(b'{"state": "running"}')

    def log_message(self, *_: object) -> None:
        pass


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[http.server.ThreadingHTTPServer] = []

    def start(context: ssl.SSLContext | None = None, *, moved: bool = False) -> str:
        handler = type("Own", (Handler,), {"seen": Handler.seen, "moved": moved})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"

    Handler.seen.clear()
    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def openssl(*words: str | Path) -> None:
    program = shutil.which("openssl")
    assert program is not None, "openssl comes with the PostgreSQL packages"
    subprocess.run([program, *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server called node1.example, and a client whose key has a password."""
    directory = tmp_path_factory.mktemp("keys")
    new = ("-newkey", "rsa:2048")
    openssl("req", "-x509", "-days", "2", *new, "-nodes", "-subj", "/CN=ca", "-keyout", directory / "ca.key", "-out", directory / "ca.crt")
    for name, protection in (("node1.example", ("-nodes",)), ("client", ("-passout", f"pass:{PASSWORD}"))):
        request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name}\n")
        openssl("req", *new, *protection, "-subj", f"/CN={name}", "-keyout", directory / f"{name}.key", "-out", request)
        signing = ("-CA", directory / "ca.crt", "-CAkey", directory / "ca.key", "-CAcreateserial", "-extfile", extensions)
        openssl("x509", "-req", "-days", "2", "-in", request, *signing, "-out", directory / f"{name}.crt")
    return directory


def server_context(keys: Path, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(keys / "ca.crt"))
    context.load_cert_chain(keys / "node1.example.crt", keys / "node1.example.key")
    context.verify_mode = ssl.CERT_REQUIRED if wants_client else ssl.CERT_NONE
    return context


def client(keys: Path) -> dict[str, str]:
    return {"certfile": str(keys / "client.crt"), "keyfile": str(keys / "client.key"), "keyfile_password": PASSWORD}


def test_credentials_are_sent_as_utf_8(serve: Serve) -> None:
    answer = ask(ctl(authentication=Credentials(username="me", password="ünd")), serve())
    assert (answer.status, answer.document) == (200, {"state": "running"})
    (_, sent) = Handler.seen[-1]
    assert base64.b64decode((sent or "").removeprefix("Basic ")).decode() == "me:ünd"


def test_credentials_are_not_carried_to_another_address(serve: Serve) -> None:
    answer = ask(ctl(authentication=Credentials(username="me", password="secret")), serve(moved=True))
    assert (answer.status, answer.is_good) == (302, False)
    assert [path for path, _ in Handler.seen] == ["/patroni"]


def test_neither_a_proxy_nor_a_netrc_of_the_environment_counts(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ask(ctl(), serve()).status == 200
    assert Handler.seen[-1][1] is None


def test_a_server_is_believed_by_its_name_and_ca_alone(serve: Serve, keys: Path) -> None:
    url = serve(server_context(keys))
    for settings in (ctl(), ctl(cacert=str(keys / "ca.crt"))):
        answer = ask(settings, url)
        assert (answer.was_asked, answer.is_lost) == (False, False)
        assert "certificate verify failed" in answer.text.lower()


def test_insecure_believes_any_server(serve: Serve, keys: Path) -> None:
    assert ask(ctl(insecure=True), serve(server_context(keys))).status == 200


def test_a_client_shows_its_certificate(serve: Serve, keys: Path) -> None:
    url = serve(server_context(keys, wants_client=True))
    assert not ask(ctl(insecure=True), url).was_asked
    answer = ask(ctl(insecure=True, cacert=str(keys / "ca.crt"), **client(keys)), url)
    assert answer.status == 200, answer


def test_with_a_certificate_of_our_own_insecure_leaves_only_the_name_unchecked(serve: Serve, keys: Path) -> None:
    answer = ask(ctl(insecure=True, **client(keys)), serve(server_context(keys)))
    assert not answer.was_asked
    assert "certificate verify failed" in answer.text.lower()


def test_a_certificate_that_cannot_be_read_is_a_wrong_configuration(keys: Path) -> None:
    for settings in (ctl(cacert="/nonexistent"), ctl(**{**client(keys), "keyfile_password": "wrong"})):
        with pytest.raises(ConfigError, match=r"ctl\."):
            ask(settings, "https://127.0.0.1:1")


def test_a_member_that_hangs_is_given_up(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = ask(ctl(), f"http://127.0.0.1:{silent.getsockname()[1]}", read_s=0.3)
    assert (answer.status, answer.was_asked, answer.is_lost) == (0, False, True)
    assert answer.text.endswith("no answer in time")


def test_a_member_without_an_address_cannot_be_asked() -> None:
    with MemberApi(ctl()) as api:
        assert api.ask(Member(name="n1"), "GET", "/patroni") == Answer(status=0, text="its record has no api_url")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://[::1", "nonsense", "http://127.0.0.1:99999"])
def test_an_address_that_is_none_is_no_traceback(url: str) -> None:
    with MemberApi(ctl()) as api:
        answer = api.ask(Member(name="n1", api_url=url), "GET", "/patroni")
    assert (answer.was_asked, answer.is_lost) == (False, False)


@pytest.mark.parametrize("port", [1, 0])
def test_where_nobody_listens_nothing_was_lost(port: int) -> None:
    answer = ask(ctl(), f"http://127.0.0.1:{port}")
    assert (answer.was_asked, answer.is_lost) == (False, False)


def test_a_connection_that_ends_without_an_answer_may_have_brought_the_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def end() -> None:
            server.accept()[0].close()

        threading.Thread(target=end, daemon=True).start()
        answer = ask(ctl(), f"http://127.0.0.1:{server.getsockname()[1]}")
    assert (answer.was_asked, answer.is_lost) == (False, True)

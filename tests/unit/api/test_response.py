import pytest

from hacore.api.response import Dressing, HeaderError, dressing, full, refusal, status_line
from tests.unit.api.samples import restapi


def test_a_status_line_is_all_there_is() -> None:
    assert status_line("503 Service Unavailable") == b"HTTP/1.0 503 Service Unavailable\r\n\r\n"


def test_an_answer_is_http_1_0_and_closes() -> None:
    text = full("200 OK", [("Content-Type", "application/json")], b"{}", Dressing()).decode()
    assert text.startswith("HTTP/1.0 200 OK\r\nServer: gunicorn\r\nDate: ")
    assert text.endswith("\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


@pytest.mark.parametrize("bad", [("X", "a\r\nSet-Cookie: b"), ("X", "a\nb"), ("X\r\nY", "a"), ("X Y", "a"), ("", "a"), ("X", "a\x00")])
def test_no_header_can_begin_another_one(bad: tuple[str, str]) -> None:
    with pytest.raises(HeaderError):
        full("200 OK", [bad], b"", Dressing())


@pytest.mark.parametrize(("tokens", "server"), [("original", "gunicorn"), ("minimal", "hacore/"), ("productonly", "hacore\r")])
def test_the_server_names_itself_as_it_is_told(tokens: str, server: str) -> None:
    text = full("200 OK", [], b"", dressing(restapi(server_tokens=tokens))).decode()
    assert f"Server: {server}" in text


def test_extra_headers_of_https_come_only_with_it() -> None:
    settings = restapi(http_extra_headers={"X-A": "1", "X-B": "1"}, https_extra_headers={"X-B": "2"})
    assert dict(dressing(settings).extra) == {"X-A": "1", "X-B": "1"}
    assert dict(dressing(restapi(certfile="c", http_extra_headers={"X-A": "1", "X-B": "1"}, https_extra_headers={"X-B": "2"})).extra) == {
        "X-A": "1",
        "X-B": "2",
    }


def test_an_extra_header_does_not_stand_beside_the_answer_s_own() -> None:
    text = full("200 OK", [("Content-Type", "text/plain")], b"", Dressing(extra=(("content-type", "text/html"),))).decode()
    assert text.lower().count("content-type") == 1


def test_what_a_client_sent_is_not_markup_in_an_error() -> None:
    assert b"<script>" not in refusal(400, "<script>", Dressing())

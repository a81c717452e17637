import pytest

from hacore.api.request import BODY_BYTES, LINE_BYTES, BadRequestError, Head, Peer, environ, parse_head, parser_config

PEER = Peer(host="10.0.0.1", port=40000)
CONFIG = parser_config()


def parse(text: str) -> Head:
    return parse_head(text.encode("latin-1"), PEER, CONFIG)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param("FOO / HTTP/1.0\r\n\r\n", 501, id="unknown method"),
        pytest.param("TRACE / HTTP/1.0\r\n\r\n", 501, id="method that nobody needs"),
        pytest.param("CONNECT x:1 HTTP/1.1\r\n\r\n", 501, id="tunnel"),
        pytest.param("get / HTTP/1.0\r\n\r\n", 501, id="lower-case method"),
        pytest.param("GET /\r\n\r\n", 400, id="no version"),
        pytest.param("GET  / HTTP/1.0\r\n\r\n", 400, id="two spaces"),
        pytest.param("\x16\x03\x01\x02\r\n\r\n", 400, id="TLS where none is spoken"),
        pytest.param("GET / HTTP/2.0\r\n\r\n", 505, id="HTTP/2"),
        pytest.param("GET / HTTP/9.9\r\n\r\n", 505, id="HTTP of the future"),
        pytest.param(f"GET /{'x' * LINE_BYTES} HTTP/1.0\r\n\r\n", 414, id="long line"),
        pytest.param("GET /\x01 HTTP/1.0\r\n\r\n", 400, id="control character in the path"),
        pytest.param("GET /é HTTP/1.0\r\n\r\n", 400, id="bytes above ASCII in the path"),
        pytest.param("GET / HTTP/1.0\r\nX\r\n\r\n", 400, id="header without a colon"),
        pytest.param("GET / HTTP/1.0\r\nX : 1\r\n\r\n", 400, id="blank before the colon"),
        pytest.param("GET / HTTP/1.0\r\nX: 1\r\n 2\r\n\r\n", 400, id="folded header"),
        pytest.param("GET / HTTP/1.0\r\nX: 1\x00\r\n\r\n", 400, id="NUL in a header"),
        pytest.param("GET / HTTP/1.0\r\nX: a\nY: b\r\n\r\n", 400, id="bare line feed"),
        pytest.param(f"GET / HTTP/1.0\r\nX: {'x' * 9000}\r\n\r\n", 431, id="large header"),
        pytest.param("GET / HTTP/1.0\r\n" + "".join(f"X{i}: 1\r\n" for i in range(65)) + "\r\n", 431, id="many headers"),
        pytest.param("POST / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, id="two lengths"),
        pytest.param("POST / HTTP/1.0\r\nContent-Length: -5\r\n\r\n", 400, id="negative length"),
        pytest.param("POST / HTTP/1.0\r\nContent-Length: 5x\r\n\r\n", 400, id="length that is no number"),
        pytest.param("POST / HTTP/1.0\r\nContent-Length: ٣\r\n\r\n".replace("٣", "\xb2"), 400, id="length in other digits"),
        pytest.param(f"POST / HTTP/1.0\r\nContent-Length: {BODY_BYTES + 1}\r\n\r\n", 413, id="large body"),
        pytest.param(f"POST / HTTP/1.0\r\nContent-Length: {'9' * 300}\r\n\r\n", 413, id="length of many digits"),
        pytest.param("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, id="chunks"),
        pytest.param("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="chunks in HTTP/1.0"),
        pytest.param("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, id="chunks and a length"),
        pytest.param("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400, id="other coding"),
        pytest.param("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param("GET / HTTP/1.1\r\nX_Y: 1\r\n\r\n", 200, id="underscore"),
    ],
)
def test_a_request_that_cannot_be_trusted_is_refused(text: str, status: int) -> None:
    if status == 200:
        assert parse(text).headers == ()
        return
    with pytest.raises(BadRequestError) as refused:
        parse(text)
    assert refused.value.status == status


def test_path_and_query_come_apart() -> None:
    head = parse("GET /replica?lag=1MB&x=%20 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nX-A: 2\r\n\r\n")
    assert (head.method, head.path, head.query, head.body_length) == ("GET", "/replica", "lag=1MB&x=%20", None)
    found = environ(head, b"", PEER, ("b", 8008))
    assert (found["PATH_INFO"], found["QUERY_STRING"], found["HTTP_X_A"]) == ("/replica", "lag=1MB&x=%20", "1,2")
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == ("10.0.0.1", "http")


def test_a_forwarded_address_is_not_believed() -> None:
    head = parse("GET / HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n")
    found = environ(head, b"", PEER, ("b", 8008))
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == ("10.0.0.1", "http")


def test_the_body_s_length_is_told() -> None:
    head = parse("POST /restart HTTP/1.1\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n")
    assert head.body_length == 2
    found = environ(head, b"{}", PEER, ("b", 8008))
    assert (found["CONTENT_LENGTH"], found["CONTENT_TYPE"], found["wsgi.input"].read()) == ("2", "application/json", b"{}")

"""Addresses of servers, as people write them."""

import pytest

from hacore.convert import WrongValueError
from hacore.http.address import endpoint_of_host


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("10.0.0.1", "http://10.0.0.1:80"),
        ("10.0.0.1:81", "http://10.0.0.1:81"),
        ("server.example", "http://server.example:80"),
        ("fe80::1", "http://[fe80::1]:80"),
        ("[fe80::1]", "http://[fe80::1]:80"),
        ("[fe80::1]:81", "http://[fe80::1]:81"),
        ("https://server.example/path", "https://server.example:80"),
        ("https://[fe80::1]:81", "https://[fe80::1]:81"),
    ],
)
def test_an_address_is_read_in_each_spelling(host: str, endpoint: str) -> None:
    assert endpoint_of_host(host, scheme="http", port=80) == endpoint


@pytest.mark.parametrize("host", ["a:abc", "a:99999", "a:0", "ftp://a", "http://", "http://a:b", ""])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(WrongValueError, match="host:port"):
        endpoint_of_host(host, scheme="http", port=80)

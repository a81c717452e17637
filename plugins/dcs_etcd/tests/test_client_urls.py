"""What is read from a list of members, and from what is none."""

import pytest

from hacore.errors import DcsUnavailableError
from hacore_dcs_etcd.discovery import client_urls


def test_every_address_of_every_member_is_read() -> None:
    members = [
        {"clientURLs": ["http://10.0.0.1:2379/", "https://[fd00::1]:2379"]},
        {"name": "not yet started"},
        {"clientURLs": None},
        {"clientURLs": 7},
    ]
    assert client_urls(members) == ["http://10.0.0.1:2379", "https://[fd00::1]:2379"]


@pytest.mark.parametrize("members", [None, [], {}, "members", [None], ["http://10.0.0.1:2379"], [[]], 7])
def test_what_is_no_list_of_members_is_no_answer(members: object) -> None:
    with pytest.raises(DcsUnavailableError, match="no list of members"):
        client_urls(members)


@pytest.mark.parametrize(
    "url", ["http://[fd00::1:2379", "http://10.0.0.1:port", "http://10.0.0.1:99999", "http://", "unix://localhost:2379", "", None, 7, []]
)
def test_an_address_that_cannot_be_used_is_passed_over(url: object) -> None:
    assert client_urls([{"clientURLs": [url, "http://10.0.0.2:2379"]}]) == ["http://10.0.0.2:2379"]

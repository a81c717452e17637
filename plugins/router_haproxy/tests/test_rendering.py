"""The text of the configuration: HAProxy takes it, and it says for whom it was written."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hacore.errors import ConfigError
from hacore.interfaces import Endpoint, RoutingState
from hacore.testing.servers import locate
from hacore_router_haproxy import rendering
from hacore_router_haproxy.rendering import Member
from hacore_router_haproxy.schema import HaproxySchema
from hacore_router_haproxy.settings import HaproxySettings, Site

MEMBERS = (Member("a", "127.0.0.1:5432"), Member("b", "[::1]:5432"), Member("c", "localhost:5433"))
ME = Endpoint(member="a", host="10.0.0.1", port=5432)


def settings(directory: Path, config: dict[str, Any] | None = None, **more: Any) -> tuple[HaproxySettings, Site]:
    site = {"path": str(directory / "haproxy.cfg"), "reload_command": "true"} | (config or {})
    loaded = HaproxySchema().load({"stats_socket": str(directory / "admin.sock"), "config": site} | more)
    assert isinstance(loaded, HaproxySettings)
    assert loaded.config is not None
    return loaded, loaded.config


def refusal(directory: Path, text: str) -> str:
    """What HAProxy says against it."""
    (directory / "hacore-hold.lua").write_text(rendering.packaged(rendering.HOLD_SCRIPT))
    path = directory / "haproxy.cfg"
    path.write_text(text)
    command = [str(locate("haproxy").program("haproxy")), "-c", "-f", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("config", "more"),
    [
        ({}, {}),
        ({"rest_port": "off"}, {"hold": "off"}),
        ({"check_options": "check-ssl verify none"}, {"standbys": "off"}),
        ({"hold_limit": "2500ms", "primary_bind": "127.0.0.1:5000,[::1]:5000"}, {"reads_from_leader": "never"}),
        ({"socket_options": "level admin mode 600 expose-fd listeners"}, {"stats_socket": "127.0.0.1:9999"}),
    ],
)
def test_haproxy_takes_the_text(tmp_path: Path, config: dict[str, Any], more: dict[str, Any]) -> None:
    for members in (MEMBERS, ()):
        text = rendering.render("demo", *settings(tmp_path, config, **more), members)
        assert refusal(tmp_path, text) == "", text


def test_every_server_begins_closed(tmp_path: Path) -> None:
    text = rendering.render("demo", *settings(tmp_path), MEMBERS)
    servers = [line for line in text.splitlines() if line.strip().startswith("server ")]
    assert len(servers) == 2 * len(MEMBERS) + 1
    assert [line for line in servers if "disabled" not in line] == []


def test_a_text_says_for_whom_it_was_written(tmp_path: Path) -> None:
    assert rendering.written_members(rendering.render("demo", *settings(tmp_path), MEMBERS)) == MEMBERS
    assert rendering.written_members("global\n") == ()


def test_a_member_that_is_gone_stays_until_another_comes(tmp_path: Path) -> None:
    b, c = replace(ME, member="b"), replace(ME, member="c")
    state = RoutingState(token=1, revision=1, me=ME, members=(ME, b))
    text = rendering.render("demo", *settings(tmp_path), rendering.members_of(state))
    assert rendering.wanted_members(replace(state, members=(ME,)), text) == rendering.members_of(state)
    others = replace(state, members=(ME, c))
    assert rendering.wanted_members(others, text) == rendering.members_of(others)
    moved = replace(state, members=(ME, replace(b, port=5433)))
    assert rendering.wanted_members(moved, text) == rendering.members_of(moved)


def test_this_member_has_a_server_before_its_record_is_there() -> None:
    assert rendering.members_of(RoutingState(token=1, revision=1, me=ME)) == (Member("a", "10.0.0.1:5432"),)


def test_a_member_without_an_address_has_no_server() -> None:
    nowhere = replace(ME, host="", port=0)
    assert rendering.members_of(RoutingState(token=1, revision=1, me=nowhere, members=(nowhere, replace(ME, member="b")))) == (
        Member("b", "10.0.0.1:5432"),
    )


def test_a_template_of_somebody_else_gets_the_same_words(tmp_path: Path) -> None:
    template = tmp_path / "mine.j2"
    template.write_text("global\n{% for member in members %}# {{ member.server }} {{ scope }} {{ primary_backend }}\n{% endfor %}")
    text = rendering.render("demo", *settings(tmp_path, {"template": str(template)}), MEMBERS)
    assert text.splitlines()[2:] == ["global", *(f"# {name} demo hacore_primary" for name in "abc")]


@pytest.mark.parametrize("text", ["{{ nothing_like_that }}", "{% for %}", None, b"\xff\xfe"])
def test_a_template_that_is_none_is_said(tmp_path: Path, text: str | bytes | None) -> None:
    template = tmp_path / "mine.j2"
    if text is not None:
        template.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=str(template)):
        rendering.render("demo", *settings(tmp_path, {"template": str(template)}), MEMBERS)


def test_where_a_text_leads_each_server() -> None:
    text = """
backend rw
    server hacore-token hacore-token.invalid:1 disabled
    server a 10.0.0.1:5432 disabled
    server b [fe80::1]:5433 check
    server c db3.example:6432
    server d db4.example:5432 resolvers dns
    server e unix@/run/x
peers all
    server f 10.0.0.9:1024
listen ro
    server a 10.0.0.1:5432
"""
    assert rendering.addresses(text) == {
        ("rw", "a"): ("10.0.0.1", 5432),
        ("rw", "b"): ("fe80::1", 5433),
        ("rw", "c"): ("db3.example", 6432),
        ("ro", "a"): ("10.0.0.1", 5432),
    }


@pytest.mark.parametrize(
    ("text", "watched"),
    [
        pytest.param("backend rw\n {looks_up}\n {a}\n {b}\n {ip}", {"ip"}, id="an address stays what it is"),
        pytest.param("backend rw\n {a}\n {looks_up}\n {b}", {"a"}, id="from that line on"),
        pytest.param("backend ro\n {looks_up}\nbackend rw\n {a}", {"a"}, id="in that section only"),
        pytest.param("defaults\n {looks_up}\n mode tcp\nfrontend x\nbackend rw\n {a}\n {ip}", {"ip"}, id="or in all below"),
        pytest.param("defaults\n {looks_up}\ndefaults\n mode tcp\nbackend rw\n {a}", {"a"}, id="until the next defaults"),
        pytest.param("defaults x\n {looks_up}\ndefaults y from x\nlisten rw\n {a}", set(), id="unless those go on from it"),
        pytest.param("defaults x\n {looks_up}\ndefaults\nbackend rw from x\n {a}", set(), id="by their name"),
        pytest.param("defaults x\n {looks_up}\ndefaults from x\nbackend rw # all\n {a}", set(), id="without one of their own"),
        pytest.param("defaults x\ndefaults\n {looks_up}\nbackend rw from x\n {a}", {"a"}, id="and not another's"),
    ],
)
def test_names_that_haproxy_itself_looks_up_are_left_to_it(text: str, watched: set[str]) -> None:
    text = text.format(
        looks_up="default-server resolvers dns init-addr none",
        a="server a db1.example:5432",
        b="server b db2.example:5432",
        ip="server ip 10.0.0.3:5432",
    )
    assert {name for backend, name in rendering.addresses(text) if backend == "rw"} == watched

"""The section ``haproxy``: what is taken, and what is refused with a sentence that helps."""

import subprocess
import sys
from typing import Any

import pytest
from marshmallow import ValidationError

from hacore.schema import messages_of
from hacore_router_haproxy.plugin import HaproxyPlugin
from hacore_router_haproxy.settings import HaproxySettings, Site

SOCKET = "/run/haproxy/admin.sock"


def load(**section: Any) -> HaproxySettings:
    settings = HaproxyPlugin.hacore_config_schema()().load(section)
    assert isinstance(settings, HaproxySettings)
    return settings


def test_what_is_not_said_has_a_default() -> None:
    assert load(stats_socket=SOCKET) == HaproxySettings(stats_sockets=(SOCKET,))


def test_a_configuration_of_ours_stands_with_its_files_in_one_directory_and_holds() -> None:
    settings = load(stats_socket=SOCKET, config={"path": "/etc/haproxy/haproxy.cfg", "reload_command": "systemctl reload haproxy"})
    assert settings.hold
    assert settings.config == Site(
        path="/etc/haproxy/haproxy.cfg",
        reload_command=("systemctl", "reload", "haproxy"),
        server_state_file="/etc/haproxy/hacore.state",
        hold_script="/etc/haproxy/hacore-hold.lua",
    )


def test_every_key_arrives() -> None:
    config = {
        "path": "/c/h.cfg", "template": "/c/h.j2", "check_command": ["/x/haproxy", "-c", "-f", "{file}"], "server_state_file": "/s/state",
        "hold_script": "/s/hold.lua", "primary_bind": "10.0.0.9:5432", "standby_bind": ":6000", "rest_port": "off", "check_options":
        "check-ssl verify none", "socket_options": "mode 600 level admin", "max_connections": 2, "max_server_connections": "1",
        "connect_timeout": "500ms", "idle_timeout": "1h", "hold_limit": "5s",
    }  # fmt: skip
    section = {
        "stats_socket": SOCKET, "master_socket": "/run/haproxy/master.sock", "primary_backend": "rw", "standby_backend": "ro",
        "hold": "off", "reads_from_leader": "always", "drain_wait": "0", "drain_sessions": "cut", "timeout": "1s", "standbys": "on",
        "config": config,
    }  # fmt: skip
    assert load(**section) == HaproxySettings(
        stats_sockets=(SOCKET,), master_socket="/run/haproxy/master.sock", primary_backend="rw", standby_backend="ro",
        reads_from_leader="always", hold=False, drain_wait_s=0, drain_sessions="cut", timeout_s=1,
        config=Site(
            path="/c/h.cfg", template="/c/h.j2", check_command=("/x/haproxy", "-c", "-f", "{file}"), server_state_file="/s/state",
            hold_script="/s/hold.lua", primary_bind="10.0.0.9:5432", standby_bind=":6000", rest_port=None,
            check_options="check-ssl verify none", socket_options="mode 600 level admin", max_connections=2, max_server_connections=1,
            connect_timeout_s=0.5, idle_timeout_s=3600, hold_limit_s=5,
        ),
    )  # fmt: skip


def test_several_proxies_are_a_list_or_text_with_commas() -> None:
    places = ("10.0.0.1:9999", "10.0.0.2:9999")
    assert load(stats_socket=list(places)).stats_sockets == load(stats_socket=", ".join(places)).stats_sockets == places


def test_without_standbys_there_is_no_backend_for_them() -> None:
    assert load(stats_socket=SOCKET, standbys="off").standby_backend is None


@pytest.mark.parametrize(
    ("section", "key", "sentence"),
    [
        ({}, ("stats_socket",), "required"),
        ({"stats_socket": "admin.sock"}, ("stats_socket",), "begins with /, or host:port"),
        ({"stats_socket": []}, ("stats_socket",), "a path or host:port"),
        ({"primary_backend": "two words"}, ("primary_backend",), "letters"),
        ({"primary_backend": "hacore-token"}, ("primary_backend",), "letters"),
        ({"reads_from_leader": "sometimes"}, ("reads_from_leader",), "never, alone, always"),
        ({"drain_sessions": "wait"}, ("drain_sessions",), "leave, cut"),
        ({"timeout": 0}, ("timeout",), "more than 0"),
        ({"stats_socket": ["/a", "/b"], "master_socket": "/m"}, ("master_socket",), "one stats_socket"),
        ({"stats_socket": ["/a", "/b"], "config": {"path": "/c", "reload_command": "x"}}, ("config",), "one stats_socket"),
        ({"config": {"path": "/c"}}, ("config",), "either reload_command here or master_socket"),
        ({"master_socket": "/m", "config": {"path": "/c", "reload_command": "x"}}, ("config",), "either"),
        ({"config": {"path": "relative", "reload_command": "x"}}, ("config", "path"), "begins with /"),
        ({"config": {"path": "/with blank", "reload_command": "x"}}, ("config", "path"), "without blanks"),
        ({"config": {"path": "/c", "reload_command": []}}, ("config", "reload_command"), "a program"),
        ({"config": {"path": "/c", "reload_command": "x", "check_command": "haproxy -c"}}, ("config", "check_command"), "{file}"),
        ({"config": {"path": "/c", "reload_command": "x", "rest_port": "on"}}, ("config", "rest_port"), "1 to 65535"),
        ({"config": {"path": "/c", "reload_command": "x", "rest_port": True}}, ("config", "rest_port"), "or off"),
        (
            {"primary_backend": "x", "standby_backend": "x", "config": {"path": "/c", "reload_command": "x"}},
            ("standby_backend",),
            "another name",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_key(section: dict[str, Any], key: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(**({"stats_socket": SOCKET} | section if section else {}))
    messages = {tuple(path): text for path, text in messages_of(caught.value)}
    assert sentence in " ".join(text for path, text in messages.items() if path[: len(key)] == key)


def test_the_agent_loads_neither_the_schema_s_library_nor_the_templates() -> None:
    program = "import sys, hacore_router_haproxy.plugin as p; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"marshmallow", "jinja2"}.isdisjoint(loaded)

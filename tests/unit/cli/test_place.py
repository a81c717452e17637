"""Where a command finds its configuration, and what a store's address stands for."""

from pathlib import Path
from typing import Any

import pytest

from hacore.cli.client import client_settings, scope_of, section_of
from hacore.cli.place import Place
from hacore.errors import ConfigError

FILE = "scope: demo\nnamespace: /db/\nsqlite: {path: /var/tmp/store.db}\nctl: {authentication: {username: u, password: p}}\n"


def place(tmp_path: Path, config_file: str | None = None, dcs_url: str | None = None, *, insecure: bool = False, **environ: str) -> Place:
    return Place(
        config_file=config_file, dcs_url=dcs_url, insecure=insecure, environ=environ, home=tmp_path / "home", system=tmp_path / "etc"
    )


def write(path: Path, text: str = FILE) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_what_is_named_first_counts_first(tmp_path: Path) -> None:
    both: dict[str, Any] = {"HACORE_CONFIG_FILE": "own", "PATRONICTL_CONFIG_FILE": "field"}
    assert place(tmp_path, "option", **both).path("argument") == "argument"
    assert place(tmp_path, "option", **both).path() == "option"
    assert place(tmp_path, **both).path() == "own"
    assert place(tmp_path, PATRONICTL_CONFIG_FILE="field").path() == "field"


def test_without_a_name_the_usual_places_are_looked_at(tmp_path: Path) -> None:
    assert place(tmp_path).path() is None
    node = write(tmp_path / "etc" / "main.yml")
    assert place(tmp_path).path() == node
    field = write(tmp_path / "home" / ".config" / "patroni" / "patronictl.yaml")
    assert place(tmp_path).path() == field
    own = write(tmp_path / "home" / ".config" / "hacore" / "hacore.yml")
    assert place(tmp_path).path() == own


def test_of_several_nodes_of_a_machine_none_is_meant(tmp_path: Path) -> None:
    write(tmp_path / "etc" / "one.yml")
    write(tmp_path / "etc" / "two.yml")
    assert place(tmp_path).path() is None


def test_variables_that_name_a_file_are_no_settings(tmp_path: Path) -> None:
    assert place(tmp_path, HACORE_CONFIG_FILE="x", HACORE_SCOPE="demo").settings == {"HACORE_SCOPE": "demo"}


def test_a_client_needs_store_scope_and_credentials_alone(tmp_path: Path) -> None:
    found = client_settings(place(tmp_path, write(tmp_path / "client.yml")))
    assert (found.scope, found.namespace, found.dcs.name) == ("demo", "/db", "sqlite")
    assert found.ctl.authentication is not None
    assert not found.ctl.insecure
    assert client_settings(place(tmp_path, str(tmp_path / "client.yml"), insecure=True)).ctl.insecure


def test_no_configuration_at_all_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration: name one with -c PATH"):
        client_settings(place(tmp_path))


def test_the_environment_may_be_the_configuration(tmp_path: Path) -> None:
    found = client_settings(place(tmp_path, PATRONI_SCOPE="demo", PATRONI_ETCD3_HOSTS="127.0.0.1:2379"))
    assert (found.scope, found.dcs.name) == ("demo", "etcd3")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("etcd://10.0.0.1:2379", "etcd: means the v2 keys API, .*: write etcd3:"),
        ("raft://10.0.0.1:2222", "no plugin for the store raft is installed: write .*etcd3:"),
        ("nonsense://x", "no plugin for the store nonsense is installed; installed: .*etcd3"),
    ],
)
def test_an_address_of_a_store_that_is_not_here_is_refused_as_its_section_is(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        client_settings(place(tmp_path, dcs_url=url))


def test_the_address_of_a_store_stands_in_for_the_section_of_the_file(tmp_path: Path) -> None:
    found = client_settings(place(tmp_path, write(tmp_path / "client.yml"), "etcd3://10.0.0.1:2379/other"))
    assert (found.dcs.name, found.scope, found.namespace) == ("etcd3", "demo", "/other")
    assert found.ctl.authentication is not None


def test_the_address_of_a_store_is_enough_of_a_configuration(tmp_path: Path) -> None:
    found = client_settings(place(tmp_path, None, "sqlite:///var/tmp/store.db"))
    assert (found.dcs.name, found.scope, found.namespace) == ("sqlite", None, "/service")
    with pytest.raises(ConfigError, match="no cluster was named"):
        scope_of(found, None)
    assert scope_of(found, "demo") == "demo"


ETCD = {"hosts": object(), "host": object(), "port": object(), "username": object(), "password": object()}


@pytest.mark.parametrize(
    ("url", "section", "namespace"),
    [
        ("etcd3://10.0.0.1:2379", {"hosts": ["10.0.0.1:2379"]}, None),
        ("10.0.0.1:2379/db", {"hosts": ["10.0.0.1:2379"]}, "/db"),
        ("etcd3://etcd.example/", {"host": "etcd.example"}, None),
        ("etcd3://me:it%40is@10.0.0.1:2379", {"hosts": ["10.0.0.1:2379"], "username": "me", "password": "it@is"}, None),
    ],
)
def test_an_address_becomes_a_section(url: str, section: dict[str, object], namespace: str | None) -> None:
    assert section_of(url, ETCD) == ("etcd3", section, namespace)


@pytest.mark.parametrize("url", ["etcd3://", "etcd3://host:port", "etcd3:///db"])
def test_an_address_without_a_server_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="SCHEME://HOST:PORT/NAMESPACE"):
        section_of(url, ETCD)

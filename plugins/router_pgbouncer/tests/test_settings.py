"""What the section may say, and how it is refused."""

import os
import stat
from pathlib import Path

import pytest
from marshmallow import ValidationError

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Endpoint, RoutingState
from hacore_router_pgbouncer import targets
from hacore_router_pgbouncer.schema import PgbouncerSchema
from hacore_router_pgbouncer.settings import Database, PgbouncerSettings

STRANGE_USER, STRANGE_GROUP, OTHER_USER = 54321, 54322, 54323
A, B, C = (Endpoint(member=name, host=f"10.0.0.{number}", port=5432) for number, name in enumerate("abc", start=1))
SETTINGS = PgbouncerSettings(
    consoles=("port=6432",),
    databases=(Database(name="app", dbname="shop", options="pool_size=5"),),
    standby_databases=(Database(name="app_ro", dbname="shop"),),
    databases_file=Path("/nowhere/hacore.ini"),
)


def test_a_section_becomes_settings() -> None:
    section = {
        "console": "port=6432",
        "databases": {"app": {"dbname": "shop", "options": "pool_size=5"}},
        "standby_databases": {"app_ro": {"dbname": "shop"}},
        "databases_file": "/nowhere/hacore.ini",
    }
    assert PgbouncerSchema().load(section) == SETTINGS


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({}, "databases"),
        ({"databases": []}, "databases"),
        ({"databases": ["pgbouncer"]}, "databases"),
        ({"databases": ["two words"]}, "databases"),
        ({"databases": {"app": {"host": "10.0.0.1"}}}, "databases"),
        ({"databases": ["app"], "console": "port"}, "console"),
        ({"databases": ["app"], "console": []}, "console"),
        ({"databases": ["app"], "console": ["port=6432", "port"]}, "console"),
        ({"databases": ["app"], "console": "port=6432 password=x"}, "console"),
        ({"databases": ["app"], "databases_file": "hacore.ini"}, "databases_file"),
        ({"databases": ["app"], "standby_databases": ["app_ro"]}, "standby_databases"),
        ({"databases": ["app"], "standby_databases": ["app"], "databases_file": "/f"}, "databases"),
        ({"databases": ["app"], "without_leader": "panic"}, "without_leader"),
    ],
)
def test_a_wrong_section_is_refused_by_its_key(section: dict[str, object], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PgbouncerSchema().load(section)
    assert key in caught.value.messages_dict


def test_consoles_may_be_several_and_one_is_as_good_as_a_list_of_one() -> None:
    several = ["host=/run/pgbouncer/1", "host=/run/pgbouncer/2"]
    for said, known in ((several, tuple(several)), (several[0], (several[0],)), (several[:1], (several[0],))):
        section = {"databases": ["app"], "console": said, "drain_consoles": said}
        settings = PgbouncerSchema().load(section)
        assert (settings.consoles, settings.drain_consoles) == (known, known)


def test_each_database_leads_where_it_should() -> None:
    text = targets.render(SETTINGS, RoutingState(token=7, revision=1, me=A, leader=A, standbys=(B, C)))
    assert "app = host=10.0.0.1 port=5432 dbname=shop pool_size=5\n" in text
    assert "app_ro = host=10.0.0.2,10.0.0.3 port=5432 dbname=shop\n" in text
    assert targets.token_of(text) == 7


def test_reads_go_to_the_primary_while_there_is_no_standby() -> None:
    assert "app_ro = host=10.0.0.1 port=5432" in targets.render(SETTINGS, RoutingState(token=7, revision=1, me=A, leader=A))


def test_without_a_leader_a_database_stays_known_and_leads_to_nobody() -> None:
    assert "app = host=127.0.0.1 port=1 dbname=shop" in targets.render(SETTINGS, RoutingState(token=7, revision=1, me=A))


def test_a_file_of_somebody_else_says_no_token() -> None:
    assert targets.token_of("[databases]\napp = host=x\n") == 0


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_who_may_read_the_file_stays_and_a_first_one_is_not_for_everybody(scratch: Path) -> None:
    path = scratch / "hacore.ini"
    targets.write(path, "one")
    assert (path.read_text(), mode_of(path)) == ("one", 0o640)
    for mode in (0o600, 0o644):
        path.chmod(mode)
        targets.write(path, "two")
        assert (path.read_text(), mode_of(path)) == ("two", mode)
    assert list(scratch.iterdir()) == [path]


def test_an_owner_who_could_not_read_it_any_more_keeps_the_file(scratch: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make files of others")
    path = scratch / "hacore.ini"
    path.write_text("")
    os.chown(path, STRANGE_USER, STRANGE_GROUP)
    path.chmod(0o660)
    targets.write(path, "one")
    assert (path.stat().st_uid, path.stat().st_gid, mode_of(path)) == (STRANGE_USER, STRANGE_GROUP, 0o660)
    scratch.chmod(0o777)
    try:
        os.setegid(STRANGE_GROUP)
        os.seteuid(OTHER_USER)  # who may write to it, and to its directory
        with pytest.raises(PluginUnavailableError, match=f"owner {STRANGE_USER}"):
            targets.write(path, "two")
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert (path.read_text(), path.stat().st_uid) == ("one", STRANGE_USER)
    path.chmod(0o664)
    targets.write(path, "three")
    assert path.read_text() == "three"


def test_a_group_that_is_not_ours_keeps_the_file_and_one_that_we_cannot_give_it_to_is_said(scratch: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make files of groups that it is not in")
    path = scratch / "hacore.ini"
    path.write_text("")
    os.chown(path, -1, STRANGE_GROUP)
    path.chmod(0o640)
    targets.write(path, "one")
    assert (path.stat().st_gid, mode_of(path)) == (STRANGE_GROUP, 0o640)
    scratch.chmod(0o777)
    before = path.read_text()
    try:
        os.seteuid(STRANGE_USER)
        with pytest.raises(PluginUnavailableError, match=f"group {STRANGE_GROUP}"):
            targets.write(path, "two")
    finally:
        os.seteuid(0)
    assert path.read_text() == before

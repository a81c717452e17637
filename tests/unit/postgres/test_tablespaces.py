from pathlib import Path

import pytest

from hacore.errors import DataDirectoryError
from hacore.hookspecs import TablespacePlaces
from hacore.postgres.tablespaces import links, map_text, read_map, refuse_outside, settled


@pytest.mark.parametrize("found", [{}, {"1": "/a", "2": "/b c"}, {"1": "/with\nlines\rand\\strokes"}])
def test_a_map_is_read_as_it_is_written(found: dict[str, str]) -> None:
    assert read_map(map_text(found)) == found


def test_a_map_of_postgresql_is_read() -> None:
    assert read_map("16384 /space\n16385 /an other\\\none\n") == {"16384": "/space", "16385": "/an other\none"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("data/pg_tblspc", "here", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path / "data"


def test_the_map_says_what_the_links_say_for_the_server_makes_them_anew(data: Path) -> None:
    here, elsewhere = data.parent / "here", data.parent / "elsewhere"
    (data / "pg_tblspc" / "1").symlink_to(here)
    (data / "tablespace_map").write_text(f"1 /where/it/was\n2 {elsewhere}\n")
    assert settled(data) == {"1": str(here), "2": str(elsewhere)}
    assert read_map((data / "tablespace_map").read_text()) == {"1": str(here), "2": str(elsewhere)}
    assert links(data) == {"1": str(here)}


def test_without_a_map_none_is_made(data: Path) -> None:
    (data / "pg_tblspc" / "1").symlink_to(data.parent / "here")
    assert settled(data) == {"1": str(data.parent / "here")}
    assert not (data / "tablespace_map").exists()


def test_a_tablespace_that_is_nowhere_is_refused(data: Path) -> None:
    (data / "tablespace_map").write_text("1 /where/it/was\n")
    with pytest.raises(DataDirectoryError, match="/where/it/was"):
        settled(data)


def test_one_that_lies_outside_is_refused(data: Path) -> None:
    here, elsewhere = data.parent / "here", data.parent / "elsewhere"
    refuse_outside({"1": str(here / "1")}, here)
    for place in (str(elsewhere), f"{here}/../elsewhere", f"{here}2"):
        with pytest.raises(DataDirectoryError, match="2 "):
            refuse_outside({"1": str(here / "1"), "2": place}, here)


def test_each_goes_where_it_was_unless_it_is_moved_and_never_over_anything(data: Path) -> None:
    here, found = str(data.parent / "here"), {"1": "/was/one", "2": "/was/two"}
    assert TablespacePlaces().of(found) == found
    assert TablespacePlaces(moved={"/was/one": here}).of(found) == {"1": here, "2": "/was/two"}
    assert TablespacePlaces(moved={"/was/one": here}, below="/below").of(found) == {"1": here, "2": "/below/2"}
    (data.parent / "here" / "PG_15").mkdir()
    with pytest.raises(DataDirectoryError, match="not empty"):
        TablespacePlaces(moved={"/was/one": here}).of(found)

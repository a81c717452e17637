"""Where a restored copy listens."""

import shutil
from pathlib import Path

from hacore.postgres.scratch import make_place_for_sockets


def test_sockets_stand_beside_the_copy(tmp_path: Path) -> None:
    place = make_place_for_sockets(Path("/tmp") / tmp_path.name)
    shutil.rmtree(place)
    assert place == Path("/tmp") / f"{tmp_path.name}.run"


def test_a_path_that_is_too_long_for_a_socket_is_not_used(tmp_path: Path) -> None:
    place = make_place_for_sockets(tmp_path / ("deep" * 20) / "data")
    try:
        assert len(str(place)) < 80
        assert place.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(place)

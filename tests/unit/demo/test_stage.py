import os
import signal
from pathlib import Path

import pytest

from hacore.demo.place import Place
from hacore.demo.stage import set_up

PLACE = Place(directory=Path("/nonexistent"), version="15.1", origin="nowhere", user=None)


def begin(said: list[str], *, error: BaseException | None = None) -> Path:
    """Set up a stage on which nothing runs, and leave it."""
    with set_up(PLACE, said.append) as stage:
        path = stage.directory.path
        (path / "n1.log").write_text("what happened")
        (path / "n1").mkdir()
        (path / "n1" / "PG_VERSION").write_text("15")
        said.append(str(path))
        if error is not None:
            raise error
    return path


def test_nothing_is_left_in_the_end() -> None:
    said: list[str] = []
    assert not begin(said).exists()
    assert len(said) == 1


def test_the_directory_is_open_to_its_owner_alone() -> None:
    with set_up(PLACE, print) as stage:
        assert stage.directory.path.stat().st_mode & 0o777 == 0o700
        assert len({node.password for node in stage.cluster.nodes.values()}) == 1


def test_after_an_error_the_logs_stay_and_are_named() -> None:
    said: list[str] = []
    with pytest.raises(RuntimeError):
        begin(said, error=RuntimeError("a fault of ours"))
    path = Path(said[0])
    assert said[1] == f"logs are kept: {path / 'n1.log'}"
    assert [entry.name for entry in path.iterdir()] == ["n1.log"]
    (path / "n1.log").unlink()
    path.rmdir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_block_and_leaves_nothing(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    paths: list[Path] = []

    def interrupted() -> None:
        with set_up(PLACE, print) as stage:
            paths.append(stage.directory.path)
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not paths[0].exists()
    assert signal.getsignal(number) == before

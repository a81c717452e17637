import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hacore.config.schemas.log import LogSchema
from hacore.config.settings import LogSettings
from hacore.errors import ConfigError
from hacore.logs import FILE_NAME, LogHandle, setup

LOG = logging.getLogger("hacore.somewhere")
LOST = "records of the log were lost"


def _settings(**keys: object) -> LogSettings:
    loaded: LogSettings = LogSchema().load(keys)
    return loaded


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LogHandle]]:
    handles: list[LogHandle] = []

    def begin(**keys: object) -> LogHandle:
        handles.append(setup(_settings(dir=str(tmp_path), **keys)))
        return handles[-1]

    yield begin
    for handle in reversed(handles):
        handle.close()


def _lines(tmp_path: Path, handle: LogHandle) -> list[str]:
    assert handle.flush()
    return (tmp_path / FILE_NAME).read_text().splitlines()


def _objects(tmp_path: Path, handle: LogHandle) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(tmp_path, handle)]


def _fail(text: str) -> None:
    try:
        int(text)
    except ValueError:
        LOG.exception("failed")


def test_facts_follow_the_message_of_a_plain_line(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="%(levelname)s: %(message)s")
    LOG.info("decision changed", extra={"rule": "keep_leading", "reason": "lease ends in 3 s", "n": 1, "empty": ""})
    assert _lines(tmp_path, handle) == ['INFO: decision changed rule=keep_leading reason="lease ends in 3 s" n=1 empty=""']


def test_facts_are_fields_of_a_json_line(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(type="json", format=["levelname", {"message": "text"}], static_fields={"app": "db"})
    LOG.warning("decision changed to %s", "x", extra={"rule": "keep_leading", "path": Path("/a")})
    assert _objects(tmp_path, handle) == [
        {"app": "db", "levelname": "WARNING", "text": "decision changed to x", "rule": "keep_leading", "path": "/a"}
    ]


@pytest.mark.parametrize("kind", ["plain", "json"])
def test_no_line_shows_a_secret(kind: str, start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(type=kind)
    LOG.error("failed: %s", "host=a password=hush", extra={"password": "hush", "dsn": "postgres://u:hush@h/d", "inner": {"token": "hush"}})
    _fail("password=hush")
    text = "\n".join(_lines(tmp_path, handle))
    assert "failed" in text
    assert "hush" not in text


def test_the_level_holds_and_single_loggers_may_differ(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(level="WARNING", format="%(message)s", loggers={"hacore.chatty": "DEBUG"})
    LOG.info("not this")
    LOG.warning("this")
    logging.getLogger("hacore.chatty.inner").debug("and this")
    assert _lines(tmp_path, handle) == ["this", "and this"]


def test_levels_go_back_when_a_logger_is_no_longer_named(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="%(message)s", loggers={"hacore.chatty": "DEBUG"})
    handle.reload(_settings(dir=str(tmp_path), format="%(message)s"))
    logging.getLogger("hacore.chatty").debug("not this")
    LOG.info("this")
    assert _lines(tmp_path, handle) == ["this"]


@pytest.mark.parametrize(
    ("level", "traceback_level", "shown"), [("INFO", "ERROR", True), ("INFO", "DEBUG", False), ("DEBUG", "DEBUG", True)]
)
def test_tracebacks_are_shown_from_their_own_level_on(
    level: str, traceback_level: str, shown: bool, start: Callable[..., LogHandle], tmp_path: Path
) -> None:  # fmt: skip
    handle = start(level=level, traceback_level=traceback_level, format="%(message)s")
    _fail("inside")
    lines = _lines(tmp_path, handle)
    assert ("Traceback (most recent call last):" in lines) is shown
    assert any("inside" in line for line in lines)


def test_a_traceback_is_one_field_of_a_json_line(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(type="json")
    _fail("inside")
    (line,) = _objects(tmp_path, handle)
    assert line["exc_info"].startswith("Traceback")


def test_the_date_is_written_as_configured(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="%(asctime)s|%(message)s", dateformat="<%Y>")
    LOG.info("x")
    (line,) = _lines(tmp_path, handle)
    assert line.startswith("<20")
    assert line.endswith(">|x")


def test_a_format_may_name_a_fact_that_not_every_record_has(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="[%(rule)s] %(message)s")
    LOG.info("one")
    LOG.info("two", extra={"rule": "r"})
    assert _lines(tmp_path, handle) == ["[] one", "[r] two rule=r"]


def test_files_are_rotated_by_size_with_the_configured_permissions(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(file_size=500, file_num=2, mode="0604", format="%(message)s")
    for number in range(100):
        LOG.info("a line of some length, number %d", number)
    assert handle.flush()
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, f"{FILE_NAME}.1", f"{FILE_NAME}.2"]
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o604"}
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 500


def test_without_old_files_to_keep_nothing_is_rotated(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(file_size=100, file_num=0, format="%(message)s")
    for number in range(100):
        LOG.info("line %d", number)
    assert len(_lines(tmp_path, handle)) == 100


class _Blocked:
    """A target that hangs until it is let go, as a full pipe does."""

    def __init__(self, handle: LogHandle) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()
        target = handle._handler._target
        write = target.emit

        def emit(record: logging.LogRecord) -> None:
            self.entered.set()
            assert self.go.wait(20)
            write(record)

        target.emit = emit  # type: ignore[method-assign]


def test_what_does_not_fit_into_the_queue_is_lost_and_said_and_nobody_waits(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(max_queue_size=3, format="%(message)s")
    blocked = _Blocked(handle)
    LOG.info("0")
    assert blocked.entered.wait(20)
    for number in range(1, 6):
        LOG.info("%d", number)
    assert not handle.flush(0.05)
    blocked.go.set()
    assert _lines(tmp_path, handle) == ["0", "1", f"{LOST} records=2", "2", "3"]


def test_a_record_that_cannot_be_written_is_said_and_the_next_one_is_tried(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="%(message)s")

    class Unprintable:
        def __str__(self) -> str:
            raise OSError("no")

    LOG.info("one", extra={"fact": Unprintable()})
    LOG.info("two")
    LOG.info("three")
    assert _lines(tmp_path, handle) == ["two", f"{LOST} records=1", "three"]


def test_a_heartbeat_is_written_once_until_something_else_is_said(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(deduplicate_heartbeat_logs=True, format="%(message)s")
    for reason in ("a", "a", "b", "b"):
        LOG.info("no action", extra={"heartbeat": True, "rule": "r", "reason": reason})
    LOG.info("an event")
    LOG.info("no action", extra={"heartbeat": True, "rule": "r", "reason": "b"})
    assert _lines(tmp_path, handle) == [
        "no action rule=r reason=a",
        "no action rule=r reason=b",
        "an event",
        "no action rule=r reason=b",
    ]


def test_without_the_setting_every_heartbeat_is_written(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="%(message)s")
    for _ in range(3):
        LOG.info("no action", extra={"heartbeat": True})
    assert _lines(tmp_path, handle) == ["no action"] * 3


def test_a_reload_takes_new_settings_without_losing_a_line(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="%(message)s")
    LOG.info("plain")
    handle.reload(_settings(dir=str(tmp_path / "other"), type="json", format=["message"]))
    LOG.info("json")
    assert handle.flush()
    assert (tmp_path / FILE_NAME).read_text() == "plain\n"
    assert (tmp_path / "other" / FILE_NAME).read_text() == '{"message": "json"}\n'


def test_a_reload_that_cannot_open_its_file_is_refused_and_the_old_file_goes_on(start: Callable[..., LogHandle], tmp_path: Path) -> None:
    handle = start(format="%(message)s")
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match=r"log\.dir"):
        handle.reload(_settings(dir=str(tmp_path / "taken"), level="ERROR"))
    LOG.info("still here")
    assert _lines(tmp_path, handle) == ["still here"]


def test_a_directory_that_cannot_be_written_ends_no_process_and_a_reload_comes_back_to_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "taken"
    place.write_text("")
    settings = _settings(dir=str(place), format="%(levelname)s: %(message)s")
    handle = setup(settings)
    LOG.info("said")
    assert handle.flush()
    fallback, said = capfd.readouterr().err.splitlines()
    assert fallback.startswith("ERROR: ")
    assert str(place) in fallback
    assert said == "INFO: said"
    place.unlink()
    handle.reload(settings)
    LOG.info("written")
    handle.close()
    assert (place / FILE_NAME).read_text() == "INFO: written\n"


def test_without_a_directory_lines_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    handle = setup(_settings(format="%(message)s"))
    LOG.info("said")
    handle.close()
    assert capfd.readouterr().err == "said\n"


def test_closing_gives_the_process_its_handlers_back(tmp_path: Path) -> None:
    before = logging.getLogger().handlers[:]
    level = logging.getLogger().level
    handle = setup(_settings(dir=str(tmp_path), level="DEBUG"))
    LOG.info("last words")
    handle.close()
    assert (logging.getLogger().handlers, logging.getLogger().level) == (before, level)
    assert "last words" in (tmp_path / FILE_NAME).read_text()


def test_each_process_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    handle = setup(_settings(dir=str(tmp_path)), file_name="patroni.rest.log")
    LOG.info("x")
    handle.close()
    assert (tmp_path / "patroni.rest.log").stat().st_size > 0

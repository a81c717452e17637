"""Messages between guard and client, and what is refused as one."""

import pytest

from hacore.guard import wire
from hacore.guard.client import GuardError, state_from
from hacore.guard.values import FenceKind

STATE: wire.Message = {
    "guard_pid": 7,
    "generation": 2,
    "server_pid": None,
    "server_exit": -9,
    "is_ending": False,
    "armed": True,
    "token": 3,
    "deadline_ns": 12,
    "fired": {"token": 2, "at_ns": 11, "took_ns": 500_000_000, "killed": 4, "remaining": 0},
    "fence": "partial",
}


def test_a_message_comes_back_as_it_was_sent() -> None:
    message = {"id": 1, "op": "start", "argv": ["a", "ü"], "env": {"A": ""}, "token": None, "standby": True}
    assert wire.decode(wire.encode(message)) == message


@pytest.mark.parametrize("packet", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_no_message(packet: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode(packet)


def test_a_message_that_fits_no_packet_is_not_sent() -> None:
    with pytest.raises(wire.WireError):
        wire.encode({"env": {"A": "x" * wire.MAX_BYTES}})


@pytest.mark.parametrize("value", [True, None, "1", 1.0, [1]])
def test_an_integer_is_an_integer(value: object) -> None:
    with pytest.raises(wire.WireError):
        wire.integer({"n": value}, "n")


@pytest.mark.parametrize("value", [None, 1, "a\0b", ["a"]])
def test_a_text_is_a_string_that_a_program_can_be_given(value: object) -> None:
    with pytest.raises(wire.WireError):
        wire.text({"t": value}, "t")


@pytest.mark.parametrize("value", [None, [], "a", [1], [None]])
def test_a_command_line_has_words(value: object) -> None:
    with pytest.raises(wire.WireError):
        wire.texts({"argv": value}, "argv")


@pytest.mark.parametrize("value", [None, [], {"A": 1}, {"": "x"}, {"A=B": "x"}, {"A": "\0"}])
def test_an_environment_has_names_and_values(value: object) -> None:
    with pytest.raises(wire.WireError):
        wire.environment({"env": value}, "env")


@pytest.mark.parametrize("value", [None, 0, 1, "true"])
def test_a_flag_is_true_or_false(value: object) -> None:
    with pytest.raises(wire.WireError):
        wire.flag({"f": value}, "f")


def test_a_state_is_read_back() -> None:
    state = state_from(STATE)
    assert (state.server_exit, state.token, state.fence) == (-9, 3, FenceKind.PARTIAL)
    assert state.fired is not None
    assert state.fired.took_s == 0.5


@pytest.mark.parametrize("change", [{"fence": "half"}, {"armed": 1}, {"generation": None}, {"fired": {"token": "x"}}])
def test_an_answer_that_is_no_state_is_an_error(change: dict[str, object]) -> None:
    with pytest.raises(GuardError):
        state_from({**STATE, **change})


def test_an_answer_without_state_is_an_error() -> None:
    with pytest.raises(GuardError):
        state_from(None)

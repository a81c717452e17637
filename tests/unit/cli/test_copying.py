"""When a standby that was to be created again has been."""

from collections.abc import Mapping
from typing import Any

import pytest

from hacore.cli.copying import Copy, NotCopiedError, said_of

OLD, NEW = "2030-01-01 00:00:00+00:00", "2030-01-01 00:05:00+00:00"
OPEN = {"id": "i", "state": "goes on"}
REFUSED = {"id": "i", "state": "failed", "error": "b does not let the replication user in"}


def document(state: str = "running", started: str | None = OLD, wish: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    own = {"reason": "because"} | ({"reinitialize": wish} if wish else {})
    return {"state": state, "hacore": own} | ({"postmaster_start_time": started} if started else {})


BUSY = [document(wish=OPEN), document("stopping", wish=OPEN), document("creating replica", None, OPEN), {}, document("starting", None)]


def test_a_standby_that_runs_on_is_not_a_copy_and_one_that_was_started_since_is() -> None:
    copy = Copy(document())
    assert not any(copy.is_complete(one) for one in [document(), *BUSY])
    assert copy.is_complete(document(started=NEW))


def test_one_that_did_not_run_before_is_a_copy_as_soon_as_it_runs() -> None:
    copy = Copy(document("start failed", None))
    assert not copy.is_complete(document("creating replica", None, OPEN))
    assert copy.is_complete(document())


def test_one_that_was_refused_and_runs_with_its_old_data_is_none() -> None:
    copy = Copy(document())
    assert not any(copy.is_complete(one) for one in [*BUSY, document("stopped", None, REFUSED)])
    with pytest.raises(NotCopiedError, match="b does not let the replication user in"):
        copy.is_complete(document(started=NEW, wish=REFUSED))


def test_an_earlier_failure_is_no_news() -> None:
    copy = Copy(document(wish=REFUSED))
    assert not copy.is_complete(document(wish=REFUSED))
    with pytest.raises(NotCopiedError):
        copy.is_complete(document(wish=REFUSED | {"id": "j"}))


def test_a_wish_that_is_gone_while_the_server_runs_on_was_given_up() -> None:
    copy = Copy(document())
    assert not copy.is_complete(document(wish=OPEN))
    with pytest.raises(NotCopiedError, match="given up"):
        copy.is_complete(document())


def test_an_agent_that_is_silent_says_nothing() -> None:
    copy = Copy(document())
    assert not copy.is_complete({"state": "running", "hacore": {"refuses_election": "its agent is silent"}})


def test_what_it_waits_for_is_said() -> None:
    assert [said_of(one) for one in (document(wish=OPEN), document(), {})] == ["running (because)", "running", ""]

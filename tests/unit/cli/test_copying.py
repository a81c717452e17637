"""When a standby that was to be created again has been."""

from collections.abc import Mapping
from typing import Any

import pytest

from hacore.cli.copying import Copy, NotCopiedError, said_of

OLD, NEW = "2030-01-01 00:00:00+00:00", "2030-01-01 00:05:00+00:00"
OPEN = {"id": "i", "state": "goes on"}
DONE = {"id": "i", "state": "done"}
REFUSED = {"id": "i", "state": "failed", "error": "b does not let the replication user in"}


def document(state: str = "running", started: str | None = OLD, wish: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    own = {"reason": "because"} | ({"reinitialize": wish} if wish else {})
    return {"state": state, "hacore": own} | ({"postmaster_start_time": started} if started else {})


BUSY = [document(wish=OPEN), document("stopping", wish=OPEN), document("creating replica", None, OPEN), {}, document("starting", None)]


def test_a_standby_that_runs_on_is_not_a_copy_and_one_that_says_that_it_is_done_is() -> None:
    copy = Copy(document())
    assert not any(copy.is_complete(one) for one in [document(), *BUSY, document("starting", None, DONE)])
    assert copy.is_complete(document(started=NEW))  # its agent was restarted since


def test_one_that_did_not_run_before_is_a_copy_as_soon_as_it_runs() -> None:
    copy = Copy(document("start failed", None))
    assert not copy.is_complete(document("creating replica", None, OPEN))
    assert copy.is_complete(document(wish=DONE))


def test_one_that_says_nothing_of_the_wish_is_a_copy_when_it_was_started_since() -> None:
    old, new = ({"state": "running", "postmaster_start_time": started} for started in (OLD, NEW))
    copy = Copy(old)
    assert not any(copy.is_complete(one) for one in (old, {"state": "creating replica"}))
    assert copy.is_complete(new)


@pytest.mark.parametrize("before", [None, {"id": "h", "state": "done"}])
def test_one_that_was_only_restarted_since_and_does_not_know_the_wish_any_more_is_none(before: Mapping[str, Any] | None) -> None:
    copy = Copy(document(wish=before))
    silent = {"state": "running", "hacore": {"refuses_election": "its agent is silent"}}
    assert not any(copy.is_complete(one) for one in [*BUSY, silent])
    with pytest.raises(NotCopiedError, match="given up"):
        copy.is_complete(document(started=NEW, wish=before))


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

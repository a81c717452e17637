# ruff: noqa: D102 - the name of a test is its documentation
"""Several servers: one that fails costs no call and no certainty."""

from contextlib import suppress

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Put, Refused, RenewRequest
from hacore.testing.conformance.store import CALL_S, ServerFaults, StoreKit, look, take, write, written


class SeveralServersConformance(StoreKit):
    """For a store that is tried with several servers."""

    def test_one_frozen_server_of_many_costs_no_call(self, servers: ServerFaults, a: Dcs) -> None:
        lock = take(a, 30.0)
        with servers.frozen():
            answers: list[object] = [a.renew(RenewRequest(lock=lock, ttl_s=30.0), timeout_s=CALL_S)]
            for number in range(3):
                answers.append(look(a))
                answers.append(write(a, Put(name="config", value=str(number)), lock=lock))
        assert [answer for answer in answers if isinstance(answer, Refused)] == []

    def test_an_answer_lost_at_one_server_is_not_mistaken_for_the_refusal_of_the_next(self, servers: ServerFaults, a: Dcs, b: Dcs) -> None:
        (version,) = written(a, Put(name="config", value="1"))
        with servers.deaf(), suppress(DcsUnavailableError):
            assert not isinstance(write(a, Put(name="config", value="2", expected=version)), Refused)
        assert look(b).records["config"].value == "2"

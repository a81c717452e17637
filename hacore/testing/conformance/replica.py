# ruff: noqa: D102 - the name of a test is its documentation
"""The kit for replica methods, against the real tool and real servers."""

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hacore.errors import JobCancelledError
from hacore.guard.jobs import NODE_VARIABLE, leftovers
from hacore.hookspecs import ReplicaRequest
from hacore.interfaces import Created, Failed, Offer
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle
from hacore.testing.conformance.plugin import PluginConformance

CANCEL_S = 15.0  # SIGTERM, then 10 s, then SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCases:
    """Requests into directories that are empty and different."""

    works: ReplicaRequest
    fails: ReplicaRequest  # the tool cannot do it: a server that is not there, a backup that is missing
    lasts: ReplicaRequest  # works, and takes several seconds


class ReplicaConformance(PluginConformance):
    """Everything that the core rests on with a replica method; the subclass brings the fixture ``cases``."""

    @pytest.fixture
    def job(self) -> Iterator[JobHandle]:
        handle = JobHandle()
        yield handle
        handle.cancel("the test has ended")

    def test_it_makes_a_whole_data_directory(self, plugin: Plugin, cases: ReplicaCases, job: JobHandle) -> None:
        outcome = create(plugin, cases.works, job)
        assert isinstance(outcome, Created), outcome
        directory = Path(cases.works.data_dir)
        assert all((directory / name).exists() for name in ("PG_VERSION", "global/pg_control", "base", "pg_wal"))

    def test_a_failure_is_a_value_with_a_reason(self, plugin: Plugin, cases: ReplicaCases, job: JobHandle) -> None:
        outcome = create(plugin, cases.fails, job)
        assert isinstance(outcome, Failed)
        assert outcome.reason

    def test_an_offer_has_no_effect(self, plugin: Plugin, cases: ReplicaCases) -> None:
        offer_of(plugin, cases.works)
        directory = Path(cases.works.data_dir)
        assert not directory.exists() or not any(directory.iterdir())

    def test_cancelling_ends_it_and_every_program_that_it_runs(
        self, plugin: Plugin, cases: ReplicaCases, job: JobHandle, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        mark = f"kit-{uuid.uuid4()}"
        monkeypatch.setenv(NODE_VARIABLE, mark)  # what it runs by the job is marked with this
        raised = threading.Event()

        def work() -> None:
            try:
                create(plugin, cases.lasts, job)
            except JobCancelledError:
                raised.set()

        thread = threading.Thread(target=work)
        thread.start()
        until = time.monotonic() + CANCEL_S
        while not leftovers(mark):
            assert time.monotonic() < until, "it runs no program by the job"
            time.sleep(0.05)
        job.cancel("somebody else leads")
        thread.join(CANCEL_S)
        assert raised.is_set()
        assert leftovers(mark) == []


def offer_of(plugin: Plugin, request: ReplicaRequest) -> Offer | None:
    """Return what the method offers, where it makes offers."""
    if not plugin.calls.has("hacore_replica_offer"):
        return None
    offer = plugin.calls.call("hacore_replica_offer", object, limit_s=10.0, request=request)
    return offer if isinstance(offer, Offer) else None


def create(plugin: Plugin, request: ReplicaRequest, job: JobHandle) -> object:
    """Run the method as the chain does."""
    return plugin.calls.call_here("hacore_create_replica", Created, Failed, request=request, offer=offer_of(plugin, request), job=job)

"""The chain of replica methods: in order, cleaned between, with the field's flags."""

from dataclasses import dataclass, field, replace

import pytest

from hacore.config.postgres_settings import ReplicaMethod
from hacore.config.settings import ToolOption
from hacore.errors import DataDirectoryError, JobCancelledError, PluginUnavailableError
from hacore.hookspecs import ReplicaRequest, hookimpl
from hacore.interfaces import Created, Failed, Job, Offer, Refusal
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.plugins.registry import Plugin, Registry
from hacore.plugins.replica import Method, create_replica, may_start_without_leader, methods_of
from tests.unit.plugins.making import NoJob, plugin, replica_request
from tests.unit.postgres.samples import settings


@dataclass
class Copier:
    """A method that ends as it was told."""

    name: str
    log: list[str]
    answers: list[object]
    offer: object = None
    requests: list[ReplicaRequest] = field(default_factory=list)

    @hookimpl
    def hacore_replica_offer(self, request: ReplicaRequest) -> object:
        assert request.method == self.name
        if isinstance(self.offer, Exception):
            raise self.offer
        return self.offer

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> object:
        assert offer is self.offer
        job.progress(self.name)
        self.log.append(self.name)
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Chain:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.copiers: dict[str, Copier] = {}
        self.methods: list[Method] = []
        self.job = NoJob()

    def add(self, name: str, *answers: object, offer: object = None, no_leader: bool = False, keep_data: bool = False) -> None:
        self.copiers[name] = Copier(name, self.log, list(answers), offer)
        self.methods.append(Method(name=name, plugin=name, no_leader=no_leader, keep_data=keep_data))

    def run(self, **changes: object) -> Created | Failed:
        return create_replica(self.registry(), self.methods, replica_request(**changes), self.job, lambda: self.log.append("clean"))

    def registry(self) -> Registry:
        plugins: dict[str, Plugin] = {name: plugin(copier, name, "replica") for name, copier in self.copiers.items()}

        class Made(Registry):
            def get(self, kind: str, name: str) -> Plugin | None:
                assert kind == "replica"
                return plugins.get(name)

        return Made()


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_the_first_success_ends_the_chain(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    chain.add("a", Created(restore_settings=(("restore_command", "x"),)))
    chain.add("b", Created())
    assert chain.run() == Created(restore_settings=(("restore_command", "x"),))
    assert chain.log == ["clean", "a"]
    assert [(one.message, one.__dict__["method"]) for one in caplog.records] == [("replica created", "a")]


@pytest.mark.parametrize(
    "failure", [Failed(reason="no"), KeyError("x"), PluginUnavailableError("x"), DataDirectoryError("x"), None, "nonsense"]
)
def test_after_any_failure_the_directory_is_cleaned_and_the_next_method_tried(chain: Chain, failure: object) -> None:
    chain.add("a", failure)
    chain.add("b", Created())
    assert chain.run() == Created()
    assert chain.log == ["clean", "a", "clean", "clean", "b"]


def test_when_all_have_failed_every_reason_is_told(chain: Chain) -> None:
    chain.add("a", Failed(reason="first", untouched=True))
    chain.add("b", Failed(reason="second"))
    outcome = chain.run()
    assert isinstance(outcome, Failed)
    assert "a: first" in outcome.reason
    assert "b: second" in outcome.reason
    assert chain.log == ["clean", "a", "clean", "b", "clean"]


def test_a_failure_that_is_worth_it_gets_one_more_attempt(chain: Chain) -> None:
    chain.add("a", Failed(reason="x", retry_after_s=5.0), Failed(reason="y", retry_after_s=5.0))
    assert isinstance(chain.run(), Failed)
    assert chain.log == ["clean", "a", "clean", "clean", "a", "clean"]
    assert chain.job.waited == [5.0]


def test_without_a_source_only_methods_that_need_no_leader_run(chain: Chain) -> None:
    chain.add("a", Created())
    chain.add("b", Created(), no_leader=True)
    assert chain.run(source=None) == Created()
    assert chain.log == ["clean", "b"]
    assert may_start_without_leader(chain.methods)
    assert not may_start_without_leader(chain.methods[:1])


def test_keep_data_is_neither_cleaned_before_nor_after(chain: Chain) -> None:
    chain.add("a", Failed(reason="x"), keep_data=True)
    chain.run(directory_state="initialized")
    assert chain.log == ["a"]
    assert chain.copiers["a"].requests[0].directory_state == "initialized"
    assert chain.copiers["a"].requests[0].keeps_data


def test_a_cancelled_method_leaves_a_clean_directory_and_ends_the_chain(chain: Chain) -> None:
    chain.add("a", JobCancelledError("x"))
    chain.add("b", Created())
    with pytest.raises(JobCancelledError):
        chain.run()
    assert chain.log == ["clean", "a", "clean"]


@pytest.mark.parametrize(
    "offer",
    [
        Refusal(reason="no backup"),
        PluginUnavailableError("server down"),
        "nonsense",
        Offer(system_id="2"),
        Offer(timeline=5),
        Offer(timeline=1, start_lsn=Lsn(101)),
        Offer(wal_bytes=11 << 30),
        Offer(wal_bytes=400, size_bytes=1000),
    ],
)
def test_a_method_that_offers_nothing_useful_is_passed_over(chain: Chain, offer: object) -> None:
    chain.add("a", Created(), offer=offer)
    chain.add("b", Created(), offer=Offer(system_id="1", timeline=2, wal_bytes=300, size_bytes=1000))
    history = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(100)),))
    assert chain.run(system_id="1", leader_history=history) == Created()
    assert chain.log == ["clean", "b"]


def test_a_limit_of_the_methods_own_settings_takes_the_place_of_the_usual_ones(chain: Chain) -> None:
    chain.add("a", Created(), offer=Offer(wal_bytes=400, size_bytes=1000, wal_limit_bytes=399))
    chain.add("b", Created(), offer=Offer(wal_bytes=400, size_bytes=1000, wal_limit_bytes=400))
    assert chain.run() == Created()
    assert chain.log == ["clean", "b"]


def test_a_method_whose_plugin_is_not_there_is_passed_over(chain: Chain) -> None:
    chain.add("b", Created())
    chain.methods.insert(0, Method(name="a", plugin="a"))
    assert chain.run() == Created()


def configured(*names: str, **sections: ReplicaMethod) -> tuple[Method, ...]:
    found = replace(
        settings("/nowhere"), create_replica_methods=names, methods=sections, basebackup=(ToolOption(name="max-rate", value="10M"),)
    )
    return methods_of(found, installed={"basebackup", "script", "walg"})


def section(name: str, command: str | None = None, **flags: bool) -> ReplicaMethod:
    known = {"no_params": False, "no_leader": False, "keep_data": False, **flags}
    return ReplicaMethod(name=name, command=command, options={"key": "value"}, **known)


def test_a_section_with_a_command_is_a_script() -> None:
    (method,) = configured("mine", mine=section("mine", "/bin/mine -x", no_leader=True))
    assert method == Method(name="mine", plugin="script", command="/bin/mine -x", no_leader=True, options=(("key", "value"),))


def test_a_section_without_a_command_is_a_plugin_or_a_script_of_its_name() -> None:
    plugged, script = configured("walg", "mine", walg=section("walg"), mine=section("mine"))
    assert (plugged.plugin, plugged.command) == ("walg", None)
    assert (script.plugin, script.command) == ("script", "mine")


def test_the_core_s_own_keys_of_a_section_go_to_a_script_alone() -> None:
    options = {"no_params": "False", "no_leader": "True", "keep_data": "True", "key": "value"}
    plugged, script = configured(
        "walg", "mine", walg=replace(section("walg"), options=options), mine=replace(section("mine"), options=options)
    )
    assert plugged.options == (("key", "value"),)
    assert dict(script.options) == options


def test_a_name_without_a_section_is_a_plugin() -> None:
    assert configured("walg") == (Method(name="walg", plugin="walg"),)


def test_basebackup_gets_its_own_options() -> None:
    assert configured("basebackup") == (Method(name="basebackup", plugin="basebackup", options=(("max-rate", "10M"),)),)

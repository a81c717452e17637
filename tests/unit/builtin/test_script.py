"""How a replica method's script is called: as the field calls it."""

from hacore.builtin.script import ScriptPlugin, command_line
from hacore.interfaces import Created, Failed, Finished
from tests.unit.plugins.making import NoJob, replica_request

OPTIONS = (("retries", "3"), ("no_leader", "True"), ("keep_data", "True"))
STANDARD = ["--scope=c", "--role=replica", "--datadir=/nowhere", "--connstring=host=b port=5432 user=replicator"]


def test_the_script_gets_its_own_keys_and_the_standard_ones() -> None:
    request = replica_request(method="mine", command="'/bin/my copy' -v", options=OPTIONS)
    assert list(command_line(request)) == ["/bin/my copy", "-v", "--retries=3", "--no_leader=True", "--keep_data=True", *STANDARD]


def test_without_a_command_the_name_is_the_command() -> None:
    assert list(command_line(replica_request(method="mine"))) == ["mine", *STANDARD]


def test_no_params_leaves_only_the_user_s_keys() -> None:
    options = (*OPTIONS, ("no_params", "True"))
    assert list(command_line(replica_request(command="mine", options=options, no_params=True))) == ["mine", "--retries=3"]


def test_without_a_source_the_connection_string_is_empty() -> None:
    assert list(command_line(replica_request(command="mine", source=None)))[-1] == "--connstring="


def test_exit_code_zero_means_that_the_directory_is_complete() -> None:
    seen: list[dict[str, str]] = []

    def run(_argv: list[str], environment: dict[str, str]) -> Finished:
        seen.append(environment)
        return Finished(exit_code=0)

    request = replica_request(command="mine", environment={"PATH": "/bin"})
    assert ScriptPlugin({}).hacore_create_replica(request, None, NoJob(run)) == Created()
    assert seen == [{"PATH": "/bin", "PGPASSFILE": "/nowhere/pass"}]


def test_any_other_exit_code_is_a_failure_with_its_last_words() -> None:
    request = replica_request(command="mine")
    outcome = ScriptPlugin({}).hacore_create_replica(request, None, NoJob(lambda *_: Finished(exit_code=7, output="a\nb\nc\nd")))
    assert outcome == Failed(reason="mine ended with 7: b | c | d")


def test_a_script_that_is_not_there_has_touched_nothing() -> None:
    def run(*_: object) -> Finished:
        raise FileNotFoundError(2, "No such file", "mine")

    outcome = ScriptPlugin({}).hacore_create_replica(replica_request(command="mine"), None, NoJob(run))
    assert isinstance(outcome, Failed)
    assert outcome.untouched

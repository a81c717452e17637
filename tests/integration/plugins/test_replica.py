"""Replica methods at work on real servers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hacore.config.postgres_settings import PostgresSettings, ReplicaMethod
from hacore.config.settings import ToolOption
from hacore.errors import DataDirectoryError
from hacore.hookspecs import PluginContext, ReplicaRequest
from hacore.interfaces import Failed, Job
from hacore.model.clock import BootClock
from hacore.model.steps import CreateReplica
from hacore.plugins.registry import Registry, Wanted
from hacore.plugins.replica import create_replica, methods_of
from hacore.postgres.surroundings import ReplicaSite, RestoreSettings
from tests.integration.postgres.conftest import MakeNode, directory, make_node, unprivileged
from tests.integration.postgres.node import Node
from tests.unit.plugins.making import wait_until

__all__ = ["directory", "make_node", "unprivileged"]  # fixtures

FAST = (ToolOption(name="checkpoint", value="fast"),)
# Notes how it was called, then is pg_basebackup; "broken" in its place fails.
RECORDER = """#!/bin/sh
printf '%s\\n' "$@" > {log}
env > {log}.env
stat -c %a "$PGPASSFILE" > {log}.mode
exec {program} "$@"
"""


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    made.update([Wanted(kind="replica", name="basebackup"), Wanted(kind="replica", name="script")])
    yield made
    made.close()


def chained(node: Node, registry: Registry, *methods: str, **changes: object) -> None:
    """Let a node create replicas by the real chain."""
    context = PluginContext(scope=node.settings.scope, namespace="/service", member=node.name, clock=BootClock())
    changes = {"basebackup": FAST, **changes}
    settings: PostgresSettings = replace(node.settings, create_replica_methods=methods, **changes)  # type: ignore[arg-type]

    def create(site: ReplicaSite, job: Job) -> RestoreSettings:
        request = ReplicaRequest(
            context=context, method="", data_dir=site.data_dir, source=site.source, system_id=site.system_id,
            programs=site.programs, environment=site.environment,
        )  # fmt: skip
        outcome = create_replica(registry, methods_of(settings), request, job, site.clean)
        if isinstance(outcome, Failed):
            raise DataDirectoryError(outcome.reason)
        return outcome.restore_settings

    node.create_replica = create


def script(name: str, path: Path, text: str, **options: str) -> ReplicaMethod:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    flags = {flag: options.get(flag) == "True" for flag in ("no_params", "no_leader", "keep_data")}
    return ReplicaMethod(name=name, command=str(path), options=options, **flags)


def created(make_node: MakeNode, registry: Registry, *methods: str, **changes: object) -> tuple[Node, Node]:
    leader, standby = make_node("a"), make_node("b")
    leader.create_cluster()
    chained(standby, registry, *methods, **changes)
    return leader, standby


def test_a_failing_method_is_followed_by_basebackup_and_the_standby_streams(
    make_node: MakeNode, registry: Registry, directory: Path
) -> None:
    broken = script("broken", directory / "broken", 'mkdir -p "${3#*=}"; touch "${3#*=}/x"; echo nothing here; exit 3')
    leader, standby = created(make_node, registry, "broken", "basebackup", methods={"broken": broken})
    leader.sql("CREATE TABLE public.t AS SELECT 1 AS x")
    standby.follow_from_scratch(leader)
    state = standby.until(lambda state: state.replication_state == "streaming")
    assert state.system_id == leader.read().system_id
    assert standby.sql("SELECT x FROM public.t") == [(1,)]


def test_basebackup_is_called_with_the_password_in_a_file_only(make_node: MakeNode, registry: Registry, directory: Path) -> None:
    real, log = Path(make_node("probe").instance.programs.path("pg_basebackup")), directory / "log"
    recorder = directory / "recorder"
    recorder.write_text(RECORDER.format(log=log, program=real))
    recorder.chmod(0o755)
    leader, standby = created(make_node, registry, "basebackup", basebackup=(*FAST, ToolOption(name="label", value="mine")))
    chain = standby.create_replica
    standby.create_replica = lambda site, job: chain(replace(site, programs={**site.programs, "pg_basebackup": str(recorder)}), job)
    standby.do(CreateReplica(leader="a", source="a", system_id=leader.read().system_id))
    called = log.read_text().splitlines()
    assert called[:3] == [f"--pgdata={standby.data_dir}", "-X", "stream"]
    assert {"--no-password", "--progress", "--checkpoint=fast", "--label=mine"} < set(called)
    password = standby.settings.authentication.replication.password
    assert password is not None
    assert password not in log.read_text()
    environment = dict(line.split("=", 1) for line in Path(f"{log}.env").read_text().splitlines() if "=" in line)
    assert password not in environment.values()
    assert Path(f"{log}.mode").read_text() == "600\n"


def test_a_script_gets_what_the_field_gives_it(make_node: MakeNode, registry: Registry, directory: Path) -> None:
    program = make_node("probe").instance.programs.path("pg_basebackup")
    text = f"""
printf '%s\\n' "$@" > {directory}/arguments
for word in "$@"; do
    case "$word" in --datadir=*) datadir="${{word#*=}}" ;; --connstring=*) connstring="${{word#*=}}" ;; esac
done
exec {program} -w -X stream -c fast --pgdata="$datadir" --dbname="$connstring"
"""
    mine = script("mine", directory / "mine", text, colour="blue", no_leader="True")
    leader, standby = created(make_node, registry, "mine", methods={"mine": mine})
    standby.follow_from_scratch(leader)
    words = (directory / "arguments").read_text().splitlines()
    assert words[:5] == [
        "--colour=blue",
        "--no_leader=True",
        f"--scope={standby.settings.scope}",
        "--role=replica",
        f"--datadir={standby.data_dir}",
    ]
    assert f"port={leader.port}" in words[5]


def test_progress_is_told_and_a_cancelled_copy_leaves_neither_program_nor_data(make_node: MakeNode, registry: Registry) -> None:
    slow = (*FAST, ToolOption(name="max-rate", value="2M"))
    leader, standby = created(make_node, registry, "basebackup", basebackup=slow)
    step = CreateReplica(leader="a", source="a", system_id=leader.read().system_id)
    standby.submit(step)
    wait_until(lambda: "MiB" in (getattr(standby.worker.state(), "progress", None) or ""), 30)
    assert running(standby)
    standby.worker.cancel("somebody else leads")
    outcome = standby.wait(step)
    assert not outcome.is_done
    assert not running(standby)
    assert not standby.data_dir.exists() or not any(standby.data_dir.iterdir())


def running(node: Node) -> list[psutil.Process]:
    """Copies that write into the data directory of a node."""
    processes = psutil.process_iter(["name", "cmdline"])
    wanted = f"--pgdata={node.data_dir}"
    return [one for one in processes if one.info["name"] == "pg_basebackup" and wanted in (one.info["cmdline"] or ())]

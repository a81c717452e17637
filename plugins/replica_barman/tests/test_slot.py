"""Whether Barman is connected to its slot, as the leader shows it."""

import subprocess
from dataclasses import replace

from hacore.interfaces import Metric
from hacore.model.clock import BootClock
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import server_user
from hacore_replica_barman.plugin import BarmanPlugin
from hacore_replica_barman.schema import BarmanSchema
from hacore_replica_barman.slot import SlotWatch, Socket


def shown(plugin: BarmanPlugin) -> dict[str, float]:
    samples = plugin.hacore_metrics()
    assert all(isinstance(one, Metric) for one in samples)
    return {one.name: one.value for one in samples}


def said(plugin: BarmanPlugin) -> str:
    return str(plugin.hacore_status().get("slot", ""))


def test_the_leader_says_for_how_long_barman_has_not_been_connected(archiving: PlainServer) -> None:
    plugin = BarmanPlugin(BarmanSchema().load({"server": "main", "slot": "barman"}))
    assert shown(plugin) == {}  # nobody has said yet where the server is
    plugin.hacore_archive_settings(archiving.archive_request())
    assert shown(plugin)["barman_slot_exists"] == 0
    assert "does not exist" in said(plugin)
    archiving.query("SELECT pg_create_physical_replication_slot('barman', true)")
    try:
        wait_for(lambda: shown(plugin)["barman_slot_away_seconds"] > 0, "it is seen that nobody is connected")
        assert "not connected for" in said(plugin)
        user, place = server_user(), archiving.directory / "received"
        archiving.run("mkdir", place)
        receiver = subprocess.Popen(
            [archiving.program("pg_receivewal"), "-D", place, "-S", "barman", "-d", archiving.conninfo],
            user=user, group=user, cwd=place, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(lambda: shown(plugin)["barman_slot_away_seconds"] == 0, "it is seen that somebody is connected")
            assert said(plugin) == "Barman is connected"
            assert shown(plugin)["barman_slot_kept_bytes"] >= 0
        finally:
            receiver.kill()
            receiver.wait()
        wait_for(lambda: shown(plugin)["barman_slot_away_seconds"] > 0, "it is seen that nobody is connected any more")
    finally:
        free = "SELECT active FROM pg_replication_slots"
        wait_for(lambda: archiving.query(free) == [(False,)], "the slot is free")
        archiving.query("SELECT pg_drop_replication_slot('barman')")


def test_a_server_that_does_not_answer_says_nothing(archiving: PlainServer) -> None:
    place = Socket(directory=str(archiving.directory), port=archiving.port, superuser=archiving.owner)
    watch = SlotWatch("barman", BootClock())
    assert watch.look(place) is not None
    assert watch.look(replace(place, directory="/nowhere")) is None


def test_without_a_slot_nothing_is_asked(archiving: PlainServer) -> None:
    plugin = BarmanPlugin(BarmanSchema().load({"server": "main"}))
    plugin.hacore_archive_settings(archiving.archive_request())
    assert (shown(plugin), said(plugin)) == ({}, "")

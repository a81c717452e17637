import pytest

from hacore.config.controlled import CONTROLLED, controlled_parameters


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("wal_level", "logical", "logical"),
        ("wal_level", "hot_standby", "replica"),
        ("hot_standby", "true", "on"),
        ("max_connections", "25", "25"),
        ("max_wal_senders", "3", "3"),
        ("wal_keep_size", "1GB", "1024MB"),
        ("wal_keep_size", "64", "64MB"),
        ("wal_keep_size", "16384 kB", "16MB"),
        ("wal_keep_segments", "8", "128MB"),
        ("max_prepared_transactions", "0", "0"),
        ("max_locks_per_transaction", "32", "32"),
        ("track_commit_timestamp", "true", "on"),
        ("max_replication_slots", "4", "4"),
        ("max_worker_processes", "2", "2"),
        ("wal_log_hints", "no", "off"),
    ],
)
def test_a_valid_value_is_used(name: str, value: str, wanted: str) -> None:
    warnings: list[str] = []
    assert controlled_parameters({name: value}, warnings)[name.replace("segments", "size")] == wanted
    assert warnings == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wal_level", "minimal"),
        ("hot_standby", "off"),
        ("max_connections", "24"),
        ("max_wal_senders", "2"),
        ("wal_keep_size", "1MB"),
        ("wal_keep_size", "x"),
        ("wal_keep_segments", "0"),
        ("wal_keep_segments", "many"),
        ("max_prepared_transactions", "-1"),
        ("max_locks_per_transaction", "31"),
        ("track_commit_timestamp", "sometimes"),
        ("max_replication_slots", "3"),
        ("max_worker_processes", "1"),
        ("wal_log_hints", "x"),
    ],
)
def test_an_invalid_value_is_replaced_by_the_default_and_said(name: str, value: str) -> None:
    warnings: list[str] = []
    real = name.replace("segments", "size")
    assert controlled_parameters({name: value}, warnings)[real] == CONTROLLED[real].default
    assert len(warnings) == 1


def test_without_values_all_have_their_defaults() -> None:
    warnings: list[str] = []
    assert controlled_parameters({}, warnings) == {name: one.default for name, one in CONTROLLED.items()}
    assert warnings == []


def test_wal_keep_size_wins_over_its_old_name() -> None:
    assert controlled_parameters({"wal_keep_segments": "100", "wal_keep_size": "32MB"}, [])["wal_keep_size"] == "32MB"


@pytest.mark.parametrize("name", ["listen_addresses", "port", "cluster_name"])
def test_what_follows_from_other_settings_is_ignored_and_said(name: str) -> None:
    warnings: list[str] = []
    assert name not in controlled_parameters({name: "x"}, warnings)
    assert len(warnings) == 1

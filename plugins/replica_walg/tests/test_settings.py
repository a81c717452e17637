"""The section ``walg``: what it takes, what it refuses, and what the program is told because of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hacore.config.postgres_settings import ReplicaMethod
from hacore.errors import ConfigError, PluginUnavailableError
from hacore.hookspecs import ReplicaRequest, Validate
from hacore.interfaces import Refusal
from hacore.plugins.replica import methods_of
from hacore.schema import check, describe, unknown_keys
from hacore.testing.conformance.plugin import CONTEXT
from hacore_replica_walg.plugin import WalgPlugin
from hacore_replica_walg.schema import EnvironmentSchema, WalgSchema
from hacore_replica_walg.settings import PREFIXES, WalgSettings
from hacore_replica_walg.tool import Place, Tool
from plugins.replica_walg.tests.storages import Site
from tests.unit.postgres.samples import settings as postgres_settings

FILE = {"WALG_FILE_PREFIX": "/backup/demo"}


def load(**section: Any) -> WalgSettings:
    loaded = WalgSchema().load(section)
    assert isinstance(loaded, WalgSettings)
    return loaded


def told(settings: WalgSettings, data_dir: str | None = "/data/one") -> dict[str, str]:
    return Tool(settings).own_environment(Place(data_dir=data_dir))


def test_a_prefix_is_enough() -> None:
    assert load(environment=FILE) == WalgSettings(environment=(("WALG_FILE_PREFIX", "/backup/demo"),))


def test_what_stands_in_the_environment_is_told_as_the_program_spells_it() -> None:
    more = {"WALG_DELTA_MAX_STEPS": 6, "WALG_COMPRESSION_METHOD": "zstd", "WALG_LIBSODIUM_KEY": "k" * 32, "AWS_S3_FORCE_PATH_STYLE": True}
    found = told(load(environment={**FILE, **more}))
    assert found["WALG_DELTA_MAX_STEPS"] == "6"
    assert found["WALG_COMPRESSION_METHOD"] == "zstd"
    assert found["WALG_LIBSODIUM_KEY"] == "k" * 32
    assert found["AWS_S3_FORCE_PATH_STYLE"] == "true"


def test_wal_is_never_overwritten_and_nothing_is_fetched_ahead_into_the_data_directory() -> None:
    found = told(load(environment=FILE))
    assert found["WALG_PREVENT_WAL_OVERWRITE"] == "true"
    assert found["WALG_PREFETCH_DIR"] == "/data/one.wal-g"
    assert told(load(environment=FILE, prefetch_dir="/fast"))["WALG_PREFETCH_DIR"] == "/fast"


def test_the_server_is_reached_by_its_socket() -> None:
    found = Tool(load(environment=FILE)).own_environment(Place(socket_dir="/run/one", port=5433, superuser="admin"))
    assert (found["PGHOST"], found["PGPORT"], found["PGUSER"]) == ("/run/one", "5433", "admin")


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({}, ("environment",)),
        ({"environment": {"WALG_DELTA_MAX_STEPS": 1}}, ("environment",)),
        ({"environment": {**FILE, "WALG_S3_PREFIX": "s3://wal/demo"}}, ("environment",)),
        ({"environment": {**FILE, "WALG_DELTA_MAX_STEPS": [1]}}, ("environment", "WALG_DELTA_MAX_STEPS")),
        ({"environment": FILE, "threshold_megabytes": -1}, ("threshold_megabytes",)),
        ({"environment": FILE, "threshold_backup_size_percentage": "much"}, ("threshold_backup_size_percentage",)),
        ({"environment": FILE, "push_timeout": 0}, ("push_timeout",)),
        ({"environment": FILE, "fetch_timeout": "long"}, ("fetch_timeout",)),
        ({"environment": FILE, "query_timeout": 10}, ("query_timeout",)),
        ({"environment": FILE, "binary": ""}, ("binary",)),
        ({"environment": FILE, "prefetch_dir": ""}, ("prefetch_dir",)),
        ({"config_file": ""}, ("config_file",)),
        ({"envdir": ""}, ("envdir",)),
    ],
)
def test_what_is_wrong_is_said_with_its_place(section: dict[str, Any], path: tuple[str, ...]) -> None:
    assert path in check(WalgSchema(), section)


@pytest.mark.parametrize("name", ["WALG_PREVENT_WAL_OVERWRITE", "PGHOST", "WALG_DELTA_MAX_STEP"])
def test_a_variable_that_is_ours_or_misspelt_is_unknown(name: str) -> None:
    assert [path for path, _ in unknown_keys(WalgSchema(), {"environment": {**FILE, name: "1"}})] == [("environment", name)]


def test_what_is_secret_is_never_shown() -> None:
    secret = {key.path[-1] for key in describe(WalgSchema()) if key.secret}
    assert {"AWS_SECRET_ACCESS_KEY", "WALG_LIBSODIUM_KEY", "WALG_PGP_KEY", "PGPASSWORD"} <= secret
    assert not {name for name in EnvironmentSchema().fields if "PASSW" in name or "SECRET" in name} - secret
    assert "hidden" not in repr(load(environment={**FILE, "WALG_LIBSODIUM_KEY": "hidden"}))


class TestEnvdir:
    def test_files_are_variables_and_the_section_wins(self, tmp_path: Path) -> None:
        (tmp_path / "WALG_S3_PREFIX").write_text("s3://wal/demo \nsecond line\n")
        (tmp_path / "WALG_DELTA_MAX_STEPS").write_text("1")
        found = told(load(envdir=str(tmp_path), environment={"WALG_DELTA_MAX_STEPS": "2"}))
        assert (found["WALG_S3_PREFIX"], found["WALG_DELTA_MAX_STEPS"]) == ("s3://wal/demo", "2")

    def test_one_that_is_not_there_or_names_another_storage_is_a_fault_of_the_settings(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError):
            told(load(envdir=str(tmp_path / "nowhere")))
        with pytest.raises(ConfigError):
            told(load(envdir=str(tmp_path)))
        (tmp_path / "WALG_S3_PREFIX").write_text("s3://wal/demo\n")
        with pytest.raises(ConfigError):
            told(load(envdir=str(tmp_path), environment=FILE))


class TestValidate:
    def test_a_program_that_is_not_there_is_said(self) -> None:
        (fault,) = WalgPlugin(load(environment=FILE, binary="/nowhere/wal-g")).hacore_validate(Validate(context=CONTEXT))
        assert "/nowhere/wal-g" in fault

    @pytest.mark.parametrize("content", ["WALG_FILE_PREFIX: /other\n", "{", "WALG_DELTA_MAX_STEPS: 1\n"])
    def test_a_file_must_be_readable_and_name_one_storage(self, site: Site, tmp_path: Path, content: str) -> None:
        path = tmp_path / "walg.yaml"
        path.write_text(content)
        environment = {} if "DELTA" in content else {"WALG_S3_PREFIX": "s3://wal/demo"}
        plugin = WalgPlugin(load(binary=str(site.walg.path), config_file=str(path), environment=environment))
        assert len(plugin.hacore_validate(Validate(context=CONTEXT))) == 1

    def test_with_online_the_storage_is_asked(self, site: Site) -> None:
        settings = WalgSchema().load(site.section())
        plugin = WalgPlugin(settings)
        assert plugin.hacore_validate(Validate(context=CONTEXT, online=True)) == ()
        site.storage.spoil()
        assert plugin.hacore_validate(Validate(context=CONTEXT)) == ()
        with pytest.raises(PluginUnavailableError):
            plugin.hacore_validate(Validate(context=CONTEXT, online=True))


def test_the_fields_section_with_a_command_remains_a_script() -> None:
    options = {"envdir": "/etc/wal-e.d/env", "threshold_megabytes": "10240"}
    section = ReplicaMethod(name="wal_e", command="patroni_wale_restore", no_params=False, no_leader=True, keep_data=False, options=options)
    settings = replace(postgres_settings("/data"), create_replica_methods=("wal_e", "walg"), methods={"wal_e": section})
    script, plugin = methods_of(settings)
    assert (script.plugin, script.command, script.no_leader) == ("script", "patroni_wale_restore", True)
    assert dict(script.options) == options
    assert (plugin.plugin, plugin.command) == ("walg", None)


def test_every_storage_of_the_manual_is_known() -> None:
    assert all(name in EnvironmentSchema().fields for name in PREFIXES)


def test_settings_in_the_methods_section_are_said_to_be_in_the_wrong_place() -> None:
    plugin = WalgPlugin(WalgSettings(environment=(("WALG_FILE_PREFIX", "/x"),)))
    options = (("threshold_megabytes", "1"),)
    refusal = plugin.hacore_replica_offer(ReplicaRequest(context=CONTEXT, method="walg", data_dir="/data", source=None, options=options))
    assert isinstance(refusal, Refusal)
    assert "threshold_megabytes" in refusal.reason

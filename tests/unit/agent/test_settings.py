from pathlib import Path

import pytest

from hacore.agent.settings import SettingsSource
from hacore.config import LoadedConfig
from hacore.config.settings import LocalSettings
from hacore.errors import ConfigError
from tests.unit.config.samples import changed, load_values


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedConfig:
    return load_values(changed({"postgresql.data_dir": str(tmp_path / "data")}), tmp_path)


def _refuse(_local: LocalSettings) -> None:
    raise ConfigError("log.dir: not now")


def test_what_refuses_local_settings_has_no_say_in_a_dynamic_change(loaded: LoadedConfig) -> None:
    source = SettingsSource(loaded, None, {})
    source.on_reload(_refuse)
    assert source.policy('{"pause": true}').pause
    assert source.policy('{"pause": false}').pause is False


def test_what_refuses_local_settings_refuses_a_reload_of_them(loaded: LoadedConfig, tmp_path: Path) -> None:
    source = SettingsSource(loaded, str(tmp_path / "node.yml"), {})
    source.on_reload(_refuse)
    source.read_again()
    assert source.reload() == "log.dir: not now"
    assert source.local is loaded.local

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hacore.config import ConfigFaultsError, load
from hacore.config.child import load_in_child
from hacore.config.reloading import keep_fixed
from hacore.errors import ConfigError
from hacore.plugins.schemas import InstalledSchemas
from tests.unit.config.samples import changed

INSTALLED = "hacore.plugins.schemas:InstalledSchemas"


def _file(tmp_path: Path, changes: dict[str, object]) -> str:
    path = tmp_path / "node.yml"
    path.write_text(yaml.safe_dump(changed(changes)))
    return str(path)


def test_a_child_loads_what_the_process_itself_would_load(tmp_path: Path) -> None:
    path = _file(tmp_path, {"log.level": "DEBUG"})
    assert load_in_child(path, os.environ, plugins=INSTALLED) == load(path, os.environ, plugins=InstalledSchemas())


def test_a_child_hands_every_fault_over(tmp_path: Path) -> None:
    path = _file(tmp_path, {"name": "a/b", "sqlite.path": "relative"})
    with pytest.raises(ConfigFaultsError) as caught:
        load_in_child(path, os.environ, plugins=INSTALLED)
    assert {fault.path for fault in caught.value.faults} == {"name", "sqlite.path"}


def test_a_child_reads_the_environment_that_it_is_given(tmp_path: Path) -> None:
    path = _file(tmp_path, {})
    assert load_in_child(path, {**os.environ, "PATRONI_NAME": "other"}, plugins=None).local.name == "other"


def test_a_reload_through_a_child_keeps_what_a_running_node_cannot_change(tmp_path: Path) -> None:
    old = load_in_child(_file(tmp_path, {}), os.environ, plugins=None)
    new = keep_fixed(old, load_in_child(_file(tmp_path, {"name": "other", "log.level": "DEBUG"}), os.environ, plugins=None))
    assert (new.local.name, new.local.log.level) == ("node1", "DEBUG")


def test_a_child_that_does_not_answer_in_time_is_an_error(tmp_path: Path) -> None:
    fifo = tmp_path / "node.yml"
    os.mkfifo(fifo)
    with pytest.raises(ConfigError, match="not read within"):
        load_in_child(str(fifo), os.environ, plugins=None, limit_s=1.0)


def test_a_child_that_cannot_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ended with"):
        load_in_child(_file(tmp_path, {}), os.environ, plugins="no.such.module:Class")


def test_the_process_that_asks_a_child_loads_no_library(tmp_path: Path) -> None:
    code = (
        "import os, sys; from hacore.config.child import load_in_child; "
        f"load_in_child({_file(tmp_path, {})!r}, os.environ, plugins=None); "
        "print(*sorted({name.split('.')[0] for name in sys.modules} & {'marshmallow', 'yaml', 'stevedore'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == []

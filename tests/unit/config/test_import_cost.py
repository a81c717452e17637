import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["hacore.config", "hacore.config.dynamic", "hacore.logs"])
def test_a_process_that_only_uses_settings_loads_no_library(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}} & {{'marshmallow', 'yaml', 'stevedore'}}))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == []

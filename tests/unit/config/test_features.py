from pathlib import Path
from typing import Any

import pytest

from hacore.config import ConfigFaultsError, check_bootstrap
from tests.unit.config.samples import changed, load_values


@pytest.mark.parametrize(
    "dcs", [{"synchronous_mode": "on"}, {"failsafe_mode": True}, {"standby_cluster": {"host": "a"}}, {"slots": {"a": {}}}]
)
def test_a_new_cluster_is_not_made_with_what_does_not_work_yet(dcs: dict[str, Any], tmp_path: Path) -> None:
    local = load_values(changed({"bootstrap": {"dcs": dcs}}), tmp_path).local
    with pytest.raises(ConfigFaultsError, match=r"bootstrap\.dcs\..* does not work yet"):
        check_bootstrap(local)


@pytest.mark.parametrize("changes", [{}, {"bootstrap": {}}, {"bootstrap": {"dcs": {"ttl": 30, "synchronous_mode": False}}}])
def test_a_new_cluster_may_be_made_with_everything_else(changes: dict[str, Any], tmp_path: Path) -> None:
    check_bootstrap(load_values(changed(changes), tmp_path).local)

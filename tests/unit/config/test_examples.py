from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.config import LoadedConfig, check_bootstrap, effective, load
from hacore.plugins.schemas import InstalledSchemas

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.yml"))


def _loaded(prefix: str) -> Iterator[LoadedConfig]:
    return (load(str(EXAMPLES / name), {}, plugins=InstalledSchemas(), strict=True) for name in FILES if name.startswith(prefix))


@pytest.mark.parametrize("name", FILES)
def test_every_example_is_right_to_the_last_key(name: str) -> None:
    loaded = load(str(EXAMPLES / name), {}, plugins=InstalledSchemas(), strict=True)
    assert loaded.warnings == ()
    assert loaded.local.bootstrap is not None
    check_bootstrap(loaded.local)
    assert effective(loaded.local, loaded.local.bootstrap.dcs).warnings == ()


@pytest.mark.parametrize("prefix", ["sqlite", "etcd3"])
def test_the_three_nodes_of_an_example_are_one_cluster(prefix: str) -> None:
    nodes = [loaded.local for loaded in _loaded(prefix)]
    assert len(nodes) == 3
    assert len({(node.scope, node.namespace, node.dcs.name, str(node.dcs.section)) for node in nodes}) == 1
    for what in (
        {node.name for node in nodes},
        {node.restapi.connect_address for node in nodes},
        {node.postgresql.connect_address for node in nodes},
    ):
        assert len(what) == 3

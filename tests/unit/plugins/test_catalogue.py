"""What is installed, for people."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from hacore.cli.plugins import plugins
from hacore.errors import PluginError
from hacore.interfaces import DcsCapabilities
from hacore.plugins.catalogue import available
from hacore.plugins.schemas import InstalledSchemas

Install = Callable[..., Path]

STORE = """
    from marshmallow import fields
    from hacore.hookspecs import DcsPlugin, hookimpl
    from hacore.interfaces import DcsCapabilities
    from hacore.schema import Secret, SectionSchema

    class Schema(SectionSchema):
        host = fields.String(required=True)
        port = fields.Integer(load_default=7000)
        password = Secret(load_default="hidden")

    class Store(DcsPlugin):
        '''Keeps records in a shoe box.

        Carefully.
        '''

        def __init__(self, settings):
            pass

        @staticmethod
        def hacore_config_schema():
            return Schema

        @staticmethod
        @hookimpl
        def hacore_dcs_capabilities():
            return DcsCapabilities(minimum_ttl_s=3.0)

        @hookimpl
        def hacore_open_dcs(self, request):
            return None
"""


def test_a_plugin_is_shown_with_its_distribution_and_its_settings(install: Install) -> None:
    install("p_box", STORE, dcs={"box": "p_box:Store"})
    row = next(row for row in available() if row.name == "box")
    assert (row.kind, row.distribution, row.version, row.problem) == ("dcs", "p-box", "1.2", None)
    assert row.description == "Keeps records in a shoe box."
    assert {one.name: (one.default, one.required, one.secret) for one in row.settings} == {
        "host": (None, True, False),
        "port": (7000, False, False),
        "password": (None, False, True),
    }
    assert {one.name: one.value for one in row.capabilities} == asdict(DcsCapabilities(minimum_ttl_s=3.0))
    assert all(one.meaning for one in row.capabilities)


def test_a_store_that_declares_something_else_cannot_be_used(install: Install) -> None:
    install("p_box", STORE.replace("DcsCapabilities(minimum_ttl_s=3.0)", "{}"), dcs={"box": "p_box:Store"})
    row = next(row for row in available() if row.name == "box")
    assert row.problem is not None
    assert "hacore_dcs_capabilities returned dict, want DcsCapabilities" in row.problem


ROUTER = """
    from hacore.hookspecs import RouterPlugin, hookimpl
    from hacore.interfaces import Layer, RouterTraits

    class Router(RouterPlugin):
        '''Leads them home.'''

        def __init__(self, settings):
            pass

        @staticmethod
        @hookimpl
        def hacore_router_traits():
            return RouterTraits(layer=Layer.POOLER, drains=True)

        @hookimpl
        def hacore_route(self, request):
            return None
"""


def test_a_router_is_shown_with_its_traits(install: Install) -> None:
    install("p_path", ROUTER, router={"path": "p_path:Router"})
    row = next(row for row in available() if row.name == "path")
    assert (row.problem, row.traits) == (None, (("layer", "pooler"), ("drains", True)))
    shown = CliRunner().invoke(plugins, ["show", "path"]).stdout
    assert "Layer:        pooler" in shown
    assert "Drains:       yes" in shown
    (found,) = json.loads(CliRunner().invoke(plugins, ["show", "path", "-f", "json"]).stdout)
    assert found["traits"] == {"layer": "pooler", "drains": True}


def test_a_plugin_that_cannot_be_loaded_is_shown_with_the_reason(install: Install) -> None:
    install("p_bad", "import p_nothing_of_this_name", dcs={"bad": "p_bad:Store"})
    row = next(row for row in available() if row.name == "bad")
    assert row.problem is not None
    assert "No module named" in row.problem


def test_the_built_in_plugins_can_all_be_loaded() -> None:
    rows = {(row.kind, row.name): row for row in available() if row.distribution == "hacore"}
    assert {name for _, name in rows} == {"basebackup", "script", "callbacks"}
    assert [row.problem for row in rows.values()] == [None] * 3
    assert all(row.description for row in rows.values())


def test_the_reader_of_the_configuration_gets_the_schema_of_a_plugin(install: Install) -> None:
    install("p_box", STORE, dcs={"box": "p_box:Store"})
    schemas = InstalledSchemas()
    assert "box" in schemas.stores()
    schema = schemas.schema("box")
    assert schema is not None
    assert schema().load({"host": "h"}) == {"host": "h", "port": 7000, "password": "hidden"}
    assert schemas.schema("basebackup") is None
    with pytest.raises(PluginError, match="not installed"):
        schemas.schema("bix")


@pytest.mark.parametrize(
    ("body", "reason"),
    [("return 5", "returned int, want a class of schema"), ("raise KeyError('x')", "KeyError: 'x'"), ("return dict", "returned type")],
)
def test_a_schema_that_is_none_is_the_fault_of_the_plugin(install: Install, body: str, reason: str) -> None:
    install("p_box", STORE.replace("return Schema", body), dcs={"box": "p_box:Store"})
    with pytest.raises(PluginError, match=reason):
        InstalledSchemas().schema("box")

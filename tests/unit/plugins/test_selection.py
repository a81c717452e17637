"""Which plugins a node's settings ask for."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from hacore.config.postgres_settings import CallbackSettings, ReplicaMethod
from hacore.config.settings import DcsSection, PluginSections
from hacore.plugins.registry import Wanted
from hacore.plugins.selection import agent_plugins, store_of
from tests.unit.postgres.samples import settings


def local(**plugins: Any) -> Any:
    sections = PluginSections(sections={}, settings=plugins.pop("settings", {}), **plugins)
    dcs = DcsSection(name="sqlite", section={}, settings="settings of the store")
    return cast("Any", SimpleNamespace(dcs=dcs, plugins=sections))


def test_the_store_is_the_one_that_the_configuration_names() -> None:
    assert store_of(local()) == Wanted(kind="dcs", name="sqlite", settings="settings of the store")


def test_a_node_without_anything_has_its_store_and_the_replica_methods() -> None:
    assert [(one.kind, one.name) for one in agent_plugins(local(), settings("/nowhere"))] == [
        ("dcs", "sqlite"),
        ("replica", "basebackup"),
        ("replica", "script"),
    ]


def test_the_archive_is_built_with_its_section() -> None:
    wanted = agent_plugins(local(archive="walg", settings={"walg": "bucket"}), settings("/nowhere"))
    assert [one for one in wanted if one.kind == "archive"] == [Wanted(kind="archive", name="walg", settings="bucket")]


def test_the_field_s_callbacks_are_a_listener_before_all_others() -> None:
    postgres = replace(settings("/nowhere"), callbacks=CallbackSettings(on_stop="/bin/x"), pre_promote="/bin/y")
    wanted = agent_plugins(local(listeners=("pager", "callbacks"), settings={"pager": "number"}), postgres)
    assert [one for one in wanted if one.kind == "listener"] == [
        Wanted(kind="listener", name="callbacks", settings={"on_stop": "/bin/x", "pre_promote": "/bin/y"}),
        Wanted(kind="listener", name="pager", settings="number"),
    ]


def test_every_router_that_is_named_is_wanted_with_its_section() -> None:
    wanted = agent_plugins(local(routers=("pooler", "proxy"), settings={"proxy": "socket"}), settings("/nowhere"))
    assert [one for one in wanted if one.kind == "router"] == [
        Wanted(kind="router", name="pooler"),
        Wanted(kind="router", name="proxy", settings="socket"),
    ]


def test_a_replica_method_that_is_a_plugin_gets_its_section() -> None:
    method = ReplicaMethod(name="mine", command="/bin/x", no_params=False, no_leader=False, keep_data=False, options={})
    postgres = replace(settings("/nowhere"), create_replica_methods=("walg", "mine"), methods={"mine": method})
    wanted = agent_plugins(local(settings={"walg": "bucket"}), postgres)
    assert [(one.name, one.settings) for one in wanted if one.kind == "replica"] == [("walg", "bucket"), ("script", None), ("script", None)]

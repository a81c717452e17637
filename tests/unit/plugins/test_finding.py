"""Plugins that are missing, double, broken or misdeclared are named with distribution, version and reason."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hacore.errors import PluginError
from hacore.hookspecs import KINDS
from hacore.plugins.calling import hooks_of
from hacore.plugins.finding import declared, find, find_any

Install = Callable[..., Path]

LISTENER = """
    from hacore.hookspecs import ListenerPlugin, hookimpl

    class Ears(ListenerPlugin):
        '''Listens.'''

        def __init__(self, settings):
            self.settings = settings

        @hookimpl
        def hacore_event(self, event):
            pass
"""


def test_a_plugin_is_found_by_its_name_and_kind(install: Install) -> None:
    install("p_ears", LISTENER, listener={"ears": "p_ears:Ears"})
    found = find("listener", "ears")
    assert (found.plugin.__name__, found.kinds) == ("Ears", ("listener",))
    assert (found.declared.distribution, found.declared.version) == ("p-ears", "1.2")


def test_the_built_in_plugins_come_through_the_same_door() -> None:
    assert {("replica", "basebackup"), ("replica", "script"), ("listener", "callbacks")} <= {(one.kind, one.name) for one in declared()}
    assert find("replica", "basebackup").declared.distribution == "hacore"
    assert find_any("callbacks").kinds == ("listener",)


def test_only_what_is_named_is_imported(install: Install) -> None:
    install("p_ears", LISTENER, listener={"ears": "p_ears:Ears"})
    install("p_bomb", "raise AssertionError('imported')", listener={"bomb": "p_bomb:Bomb"})
    assert find("listener", "ears").name == "ears"
    assert "bomb" in {one.name for one in declared(["listener"])}


def test_a_missing_plugin_is_named_with_those_that_are_there(install: Install) -> None:
    install("p_ears", LISTENER, listener={"ears": "p_ears:Ears"})
    with pytest.raises(PluginError, match=r"plugin eras \(listener\): not installed, installed are callbacks, ears"):
        find("listener", "eras")


def test_a_plugin_of_another_kind_is_said_to_be_one(install: Install) -> None:
    install("p_ears", LISTENER, listener={"ears": "p_ears:Ears"})
    with pytest.raises(PluginError, match="there is one of that name of kind listener"):
        find("replica", "ears")


def test_a_name_that_two_distributions_claim_is_refused_with_both(install: Install) -> None:
    install("p_one", LISTENER, listener={"ears": "p_one:Ears"})
    install("p_two", LISTENER, version="3", listener={"ears": "p_two:Ears"})
    with pytest.raises(PluginError, match=r"p-one 1\.2 \(p_one:Ears\) and p-two 3 \(p_two:Ears\), want one"):
        find("listener", "ears")


def test_one_name_is_one_class_in_all_groups(install: Install) -> None:
    install("p_one", LISTENER, listener={"ears": "p_one:Ears"})
    install("p_two", LISTENER, replica={"ears": "p_two:Ears"})
    with pytest.raises(PluginError, match="one name is one class"):
        find("listener", "ears")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ValueError('not today')", "cannot be imported: ValueError: not today"),
        ("import p_nothing_of_this_name", "cannot be imported: ModuleNotFoundError: No module named 'p_nothing_of_this_name'"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("Other = 1", "cannot be imported: AttributeError"),
        ("Ears = 5", "int instead of a class"),
        ("class Ears:\n    pass", "cannot be built with one argument"),
        ("class Ears:\n    def __init__(self, settings, more): pass", "cannot be built with one argument"),
    ],
)
def test_a_plugin_that_cannot_be_had_is_named_with_distribution_version_and_reason(install: Install, code: str, reason: str) -> None:
    install("p_bad", code, listener={"ears": "p_bad:Ears"})
    with pytest.raises(PluginError) as raised:
        find("listener", "ears")
    assert "plugin ears (listener, p_bad:Ears of p-bad 1.2)" in str(raised.value)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("@hookimpl\n    def hacore_evnt(self, event): pass", "there is no hook hacore_evnt, did you mean hacore_event"),
        ("@hookimpl\n    def quite_another(self): pass", "there is no hook quite_another"),
        ("def hacore_event(self, event): pass", "hacore_event is not marked with hookimpl"),
        ("@hookimpl\n    def hacore_event(self, happening): pass", "hacore_event has no argument happening"),
        ("hacore_event = 5", "hacore_event is int, want a method"),
        (
            "@hookimpl\n    def hacore_open_dcs(self, request): pass",
            "implements hacore_open_dcs and is not declared in the group hacore.dcs",
        ),
        ("@hookimpl\n    def hacore_config_schema(self): pass", "hacore_config_schema must be a static method"),
        ("@hookimpl\n    def hacore_dcs_capabilities(self): pass", "implements hacore_dcs_capabilities and is not declared in the group"),
    ],
)
def test_a_misdeclared_hook_is_found_before_the_plugin_is_built(install: Install, body: str, reason: str) -> None:
    code = f"from hacore.hookspecs import hookimpl\nclass Ears:\n    def __init__(self, settings): pass\n    {body}\n"
    install("p_bad", code, listener={"ears": "p_bad:Ears"})
    with pytest.raises(PluginError) as raised:
        find("listener", "ears")
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "hook"), [("dcs", "hacore_open_dcs"), ("replica", "hacore_create_replica"), ("command", "hacore_commands")]
)
def test_a_plugin_must_have_the_hook_that_makes_its_kind(install: Install, kind: str, hook: str) -> None:
    install("p_bad", "class Ears:\n    def __init__(self, settings): pass\n", **{kind: {"ears": "p_bad:Ears"}})
    with pytest.raises(PluginError, match=f"does not implement {hook}"):
        find(kind, "ears")


def test_a_class_may_stand_in_several_groups(install: Install) -> None:
    code = LISTENER + "\n        @hookimpl\n        def hacore_commands(self):\n            return []\n"
    install("p_ears", code, listener={"ears": "p_ears:Ears"}, command={"ears": "p_ears:Ears"})
    assert set(find("listener", "ears").kinds) == {"listener", "command"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_the_hooks_that_every_plugin_may_have(kind: str) -> None:
    every = {"hacore_config_schema", "hacore_validate", "hacore_metrics", "hacore_status", "hacore_close"}
    assert every < set(hooks_of(KINDS[kind]))

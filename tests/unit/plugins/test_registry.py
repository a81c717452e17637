"""One name is one instance; a change is made as a whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hacore.errors import ConfigError, PluginError, PluginUnavailableError
from hacore.plugins.registry import Registry, Wanted
from tests.unit.plugins.making import wait_until

Install = Callable[..., Path]

BOTH = """
    from hacore.errors import ConfigError
    from hacore.hookspecs import CommandPlugin, ListenerPlugin, hookimpl

    log = []

    class Both(ListenerPlugin, CommandPlugin):
        def __init__(self, settings):
            if settings == "broken":
                raise RuntimeError("no")
            if settings == "wrong":
                raise ConfigError("port: want a number")
            self.settings = settings
            log.append(("built", settings))

        @hookimpl
        def hacore_event(self, event):
            raise KeyError("event")

        @hookimpl
        def hacore_commands(self):
            return 5

        @hookimpl
        def hacore_close(self):
            log.append(("closed", self.settings))
            raise ValueError("even so")
"""
POINTS = {"listener": {"both": "p_both:Both"}, "command": {"both": "p_both:Both"}}


@pytest.fixture
def log(install: Install) -> list[tuple[str, object]]:
    site = install("p_both", BOTH, **POINTS)
    assert site.is_dir()
    import p_both  # type: ignore[import-not-found] # noqa: PLC0415

    found: list[tuple[str, object]] = p_both.log
    return found


def wanted(settings: object, *kinds: str) -> list[Wanted]:
    return [Wanted(kind=kind, name="both", settings=settings) for kind in kinds or ("listener",)]


def test_a_name_in_several_groups_is_one_instance(log: list[tuple[str, object]]) -> None:
    registry = Registry()
    registry.update(wanted("a", "listener", "command"))
    assert registry.get("listener", "both") is registry.get("command", "both")
    assert log == [("built", "a")]


def test_an_instance_stays_while_its_settings_stay(log: list[tuple[str, object]]) -> None:
    registry = Registry()
    registry.update(wanted("a"))
    registry.update(wanted("a"))
    registry.update(wanted("b"))
    wait_until(lambda: log[-1] == ("closed", "a"))
    registry.close()
    assert log == [("built", "a"), ("built", "b"), ("closed", "a"), ("closed", "b")]


def test_a_plugin_that_is_not_wanted_for_a_kind_is_not_in_use_for_it(log: list[tuple[str, object]]) -> None:
    registry = Registry()
    registry.update(wanted("a", "listener"))
    assert registry.get("command", "both") is None
    assert registry.of_kind("command") == ()
    registry.update([])
    assert registry.every() == ()
    wait_until(lambda: log[-1] == ("closed", "a"))


def test_nobody_waits_for_a_plugin_that_is_not_wanted_any_more(install: Install) -> None:
    code = """
        import threading
        from hacore.hookspecs import ListenerPlugin, hookimpl

        closing, may_close = threading.Event(), threading.Event()

        class Slow(ListenerPlugin):
            def __init__(self, settings):
                pass

            @hookimpl
            def hacore_close(self):
                closing.set()
                may_close.wait(60)
    """
    install("p_slow", code, listener={"slow": "p_slow:Slow"})
    registry = Registry()
    registry.update([Wanted(kind="listener", name="slow")])
    registry.update([])
    import p_slow  # type: ignore[import-not-found]  # noqa: PLC0415 - what was installed just now

    assert p_slow.closing.wait(10)
    assert not p_slow.may_close.is_set()
    p_slow.may_close.set()


@pytest.mark.parametrize(("settings", "error"), [("broken", PluginError), ("wrong", ConfigError)])
def test_a_change_that_fails_leaves_everything_as_it_was(log: list[tuple[str, object]], settings: str, error: type[Exception]) -> None:
    registry = Registry()
    registry.update(wanted("a"))
    with pytest.raises(error, match="plugin both"):
        registry.update(wanted(settings))
    assert registry.every()[0].settings == "a"
    assert ("closed", "a") not in log


def test_a_store_keeps_its_instance_because_a_session_is_open_on_it(install: Install) -> None:
    code = """
        from hacore.hookspecs import DcsPlugin, hookimpl
        from hacore.interfaces import DcsCapabilities

        class Store(DcsPlugin):
            def __init__(self, settings):
                pass

            @staticmethod
            @hookimpl
            def hacore_dcs_capabilities():
                return DcsCapabilities(minimum_ttl_s=3.0)

            @hookimpl
            def hacore_open_dcs(self, request):
                return None
    """
    install("p_store", code, dcs={"store": "p_store:Store"})
    registry = Registry()
    registry.update([Wanted(kind="dcs", name="store", settings="a")])
    before = registry.every()
    registry.update([Wanted(kind="dcs", name="store", settings="b")])
    assert registry.every() == before


def test_a_hook_that_raises_is_counted_and_becomes_unavailable(log: list[tuple[str, object]]) -> None:
    registry = Registry()
    registry.update(wanted("a", "listener", "command"))
    calls = registry.every()[0].calls
    with pytest.raises(PluginUnavailableError, match="KeyError"):
        calls.call("hacore_event", limit_s=5, event=None)
    with pytest.raises(PluginUnavailableError, match="returned int, want list or None"):
        calls.call("hacore_commands", list, limit_s=5)
    assert calls.counts.faults == 2
    assert registry.calls() == (("both", "hacore_commands", "failed", 1), ("both", "hacore_event", "failed", 1))
    registry.close()
    assert log == [("built", "a"), ("closed", "a")]


def test_a_plugin_with_a_schema_and_no_section_gets_the_defaults(install: Install) -> None:
    install("p_set", SETTINGS, listener={"set": "p_set:Ears"})
    registry = Registry()
    registry.update([Wanted(kind="listener", name="set")])
    assert registry.every()[0].settings == {"limit_s": 7}


def test_a_plugin_whose_schema_needs_a_key_cannot_do_without_a_section(install: Install) -> None:
    install("p_set", SETTINGS.replace("load_default=7", "required=True"), listener={"set": "p_set:Ears"})
    with pytest.raises(PluginError, match="limit_s"):
        Registry().update([Wanted(kind="listener", name="set")])


SETTINGS = """
    from marshmallow import fields
    from hacore.hookspecs import ListenerPlugin, hookimpl
    from hacore.schema import Secret, SectionSchema

    class Schema(SectionSchema):
        limit_s = fields.Integer(load_default=7)

    class Ears(ListenerPlugin):
        def __init__(self, settings):
            pass

        @staticmethod
        def hacore_config_schema():
            return Schema
"""

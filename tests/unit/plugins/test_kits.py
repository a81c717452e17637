"""The kits leave nothing untried that a plugin has: the class that tries it must be there, and only then."""

from contextlib import nullcontext

import pytest

from hacore.testing.conformance.archive import ArchiveConformance, ArchiveIdentityConformance, ArchiveStatusConformance
from hacore.testing.conformance.backup import BackupConformance, ExpiryConformance, VerificationConformance
from hacore.testing.conformance.plugin import PluginUnderTest, built
from hacore.testing.conformance.router import DrainConformance, ProbeConformance, RevocationConformance, RouterConformance
from tests.unit.plugins.conftest import Install

ARCHIVE = """
    from hacore.hookspecs import ArchivePlugin, hookimpl

    class Plugin(ArchivePlugin):
        def __init__(self, settings):
            pass

        @hookimpl
        def hacore_archive_settings(self, request):
            return None
"""
BACKUP = """
    from hacore.hookspecs import BackupPlugin, hookimpl

    class Plugin(BackupPlugin):
        def __init__(self, settings):
            pass

        @hookimpl
        def hacore_list_backups(self, request):
            return ()

        @hookimpl
        def hacore_backup(self, request, job):
            return None

        @hookimpl
        def hacore_restore(self, request, job):
            return None
"""
ROUTER = """
    from hacore.hookspecs import RouterPlugin, hookimpl
    from hacore.interfaces import Layer, RouterTraits

    class Plugin(RouterPlugin):
        def __init__(self, settings):
            pass

        @staticmethod
        @hookimpl
        def hacore_router_traits():
            return RouterTraits(layer=Layer.PROXY)

        @hookimpl
        def hacore_route(self, request):
            return None
"""
DRAINS = ROUTER.replace("layer=Layer.PROXY", "layer=Layer.PROXY, drains=True")


def with_hook(code: str, name: str, arguments: str = "self, request") -> str:
    return f"{code}\n        @hookimpl\n        def {name}({arguments}):\n            return None\n"


@pytest.mark.parametrize(
    ("kind", "bare", "has", "kit", "part"),
    [
        ("archive", ARCHIVE, with_hook(ARCHIVE, "hacore_archive_identity"), ArchiveConformance, ArchiveIdentityConformance),
        ("archive", ARCHIVE, with_hook(ARCHIVE, "hacore_archive_status"), ArchiveConformance, ArchiveStatusConformance),
        ("backup", BACKUP, with_hook(BACKUP, "hacore_expire_backups", "self, request, job"), BackupConformance, ExpiryConformance),
        ("backup", BACKUP, with_hook(BACKUP, "hacore_verify_backup", "self, request, job"), BackupConformance, VerificationConformance),
        ("router", ROUTER, with_hook(ROUTER, "hacore_revoke"), RouterConformance, RevocationConformance),
        ("router", ROUTER, DRAINS, RouterConformance, DrainConformance),
        ("router", ROUTER, with_hook(ROUTER, "hacore_route_probe"), RouterConformance, ProbeConformance),
    ],
)
def test_what_a_plugin_has_is_tried_and_nothing_else_is_expected(
    install: Install, kind: str, bare: str, has: str, kit: type, part: type
) -> None:  # fmt: skip
    install("p_bare", bare, **{kind: {"bare": "p_bare:Plugin"}})
    install("p_has", has, **{kind: {"has": "p_has:Plugin"}})
    whole = type("Whole", (kit, part), {})
    for name, tried in (("bare", kit), ("has", whole)):
        for one in (kit, whole):
            with built(PluginUnderTest(kind=kind, name=name)) as plugin, nullcontext() if one is tried else pytest.raises(AssertionError):
                one().test_it_is_tried_with_every_hook_that_it_has(plugin)

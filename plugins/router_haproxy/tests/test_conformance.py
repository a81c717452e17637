"""HAProxy keeps what every router must promise: with a configuration of the plugin's, and with one of somebody else."""

import signal
from pathlib import Path

import pytest

from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.conformance.router import DrainConformance, ProbeConformance, RevocationConformance, RouterCases, RouterConformance
from hacore_router_haproxy import rendering
from hacore_router_haproxy.schema import HaproxySchema
from plugins.router_haproxy.tests.served import Haproxy, Who, leading, own_config, reached, site_section, waits


def cases_of(haproxy: Haproxy, servers: dict[str, Who]) -> RouterCases:
    return RouterCases(
        here=leading(servers, "a", token=5),
        elsewhere=leading(servers, "b", token=6),
        target=lambda: reached(haproxy.primary_port),
        is_held=lambda: waits(haproxy.primary_port),
        spoil=lambda: haproxy.signal(signal.SIGSTOP),
        mend=lambda: haproxy.signal(signal.SIGCONT),
    )


class TestOurConfiguration(RouterConformance, RevocationConformance, DrainConformance, ProbeConformance):
    @pytest.fixture
    def subject(self, haproxy: Haproxy) -> PluginUnderTest:
        return PluginUnderTest(kind="router", name="haproxy", section=site_section(haproxy))

    @pytest.fixture
    def cases(self, haproxy: Haproxy, servers: dict[str, Who], subject: PluginUnderTest) -> RouterCases:
        settings = HaproxySchema().load(dict(subject.section))
        Path(settings.config.hold_script).write_text(rendering.packaged(rendering.HOLD_SCRIPT))
        haproxy.config.write_text(rendering.render("kit", settings, settings.config, ()))
        haproxy.start()
        return cases_of(haproxy, servers)


class TestAConfigurationOfSomebodyElse(RouterConformance, RevocationConformance, DrainConformance, ProbeConformance):
    @pytest.fixture
    def subject(self, haproxy: Haproxy) -> PluginUnderTest:
        section = {"stats_socket": str(haproxy.socket), "primary_backend": "pg_rw", "standby_backend": "pg_ro", "hold": "on"}
        return PluginUnderTest(kind="router", name="haproxy", section=section)

    @pytest.fixture
    def cases(self, haproxy: Haproxy, servers: dict[str, Who]) -> RouterCases:
        script = haproxy.directory / "hold.lua"
        script.write_text(rendering.packaged(rendering.HOLD_SCRIPT))
        haproxy.config.write_text(own_config(haproxy, script, servers))
        haproxy.start()
        return cases_of(haproxy, servers)

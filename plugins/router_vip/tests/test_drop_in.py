"""The drop-in for the unit grants what the plugin needs, and nothing else, to a user who stays unprivileged."""

from importlib.resources import files


def test_the_drop_in_grants_two_capabilities_and_changes_nothing_else() -> None:
    text = files("hacore_router_vip").joinpath("capabilities.conf").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == ["[Service]", "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"]


def test_the_unit_takes_no_capability_away_that_the_drop_in_grants() -> None:
    text = files("hacore.daemon").joinpath("hacore@.service").read_text()
    assert not [
        line for line in text.splitlines() if line.startswith(("CapabilityBoundingSet=", "PrivateNetwork=", "ProtectKernelTunables="))
    ]

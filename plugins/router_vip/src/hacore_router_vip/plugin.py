"""The hooks of the floating IP."""

from collections.abc import Mapping, Sequence

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Probe, Revoke, Route, RouterPlugin, Validate, hookimpl
from hacore.interfaces import Applied, Degraded, Layer, Metric, Observed, RouterTraits, SectionChecker
from hacore_router_vip.address import Addresses
from hacore_router_vip.kernel import KernelRefusedError, Standing, link_named, load_library
from hacore_router_vip.settings import VipSettings


class VipPlugin(RouterPlugin):
    """Kind ``router``, section ``plugins: {vip: ...}``: addresses that are where the leader is, and nowhere when nobody leads."""

    def __init__(self, settings: VipSettings) -> None:
        load_library()
        self._settings = settings
        self._addresses = Addresses(settings)
        self._newest = (0, 0)  # token and revision of the newest state
        self._leads = self._has_lease = False  # this node, as it was last told

    @staticmethod
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_router_vip.schema import VipSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return VipSchema

    @staticmethod
    @hookimpl
    def hacore_router_traits() -> RouterTraits:
        """Return what a floating IP is: it holds nothing back."""
        return RouterTraits(layer=Layer.ADDRESS)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """With ``online``: look whether this machine has the interface."""
        name = self._settings.interface
        if not request.online or link_named(name) is not None:
            return ()
        return (f"interface: this machine has no interface {name}",)

    @hookimpl
    def hacore_route(self, request: Route) -> Applied | Degraded:
        """Have the addresses here until the fence begins, or not at all. They come with the writes, and go with the lease."""
        state = request.state
        if (state.token, state.revision) < self._newest:
            return Applied(detail="a newer state is in force")
        self._newest = (state.token, state.revision)
        self._leads, self._has_lease = state.leads, state.valid_until is not None
        if state.valid_until is None:
            return self._addresses.let_go()
        return self._addresses.hold(state.valid_until, request.context.clock, may_come=state.leads)

    @hookimpl
    def hacore_revoke(self, request: Revoke) -> Applied | Degraded:  # noqa: ARG002 - whatever the token was
        """Take the addresses away."""
        self._leads = self._has_lease = False
        return self._addresses.let_go()

    @hookimpl
    def hacore_route_probe(self, request: Probe) -> Observed | None:
        """Look whether they are here; where else they may be cannot be seen."""
        found = self._look()
        if not self._leads and (self._has_lease or not found):
            return None
        here = {one.ip for one in found if not one.is_refused}
        is_whole = all(one.ip in here for one in self._settings.addresses)
        return Observed(target=request.context.member if is_whole else None, detail=", ".join(_described(one) for one in found))

    @hookimpl
    def hacore_metrics(self) -> list[Metric]:
        """Return what is here and what was announced."""
        held, findings = {one.ip for one in self._look()}, self._addresses.announcer.findings
        samples = [
            Metric(name="vip_announcements", help="Announcements of floating addresses.", value=findings.announced),
        ]
        for one in self._settings.addresses:
            labels = (("address", str(one.ip)),)
            others = int(one.ip in findings.duplicates)
            samples += [
                Metric(name="vip_held", help="Whether the address is on this node.", value=int(one.ip in held), labels=labels),
                Metric(name="vip_duplicate", help="Whether another machine has the address, too.", value=others, labels=labels),
            ]
        return samples

    @hookimpl
    def hacore_status(self) -> Mapping[str, str | int | float | bool | None]:
        """Tell what is here, for how long, and how it is announced."""
        addresses, findings = self._addresses, self._addresses.announcer.findings
        how = {None: "nothing yet", True: "raw packets", False: "the kernel, because CAP_NET_RAW is missing"}[addresses.with_packets]
        return {
            "interface": self._settings.interface,
            "here": ", ".join(_described(one) for one in self._look()),
            "announced by": how,
            "announcement failed": findings.problem,
            "other holders": ", ".join(f"{ip} at {mac}" for ip, mac in findings.duplicates.items()),
        }

    @hookimpl
    def hacore_close(self) -> None:
        """End the announcements; the addresses stay until the lease ends."""
        self._addresses.close()

    def _look(self) -> list[Standing]:
        try:
            return self._addresses.here()
        except KernelRefusedError as error:
            raise PluginUnavailableError(str(error)) from error


def _described(one: Standing) -> str:
    return f"{one.address} for ever" if one.valid_s is None else f"{one.address} for {one.valid_s} s"

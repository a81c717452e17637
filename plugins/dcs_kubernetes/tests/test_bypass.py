"""``bypass_api_service`` from end to end: a real server names its own address, and the agent goes there when the service leads nowhere.

A server takes no loopback address for the one that it names, so this needs a machine with another one.
"""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Put, Renewed
from hacore.testing.conformance.store import CALL_S, EVENTUALLY_S, Wakes, eventually, renew, take, written
from hacore.testing.faults.proxy import Fault
from hacore_dcs_kubernetes.objects import CONFIG_MAPS
from hacore_dcs_kubernetes.settings import KubernetesSettings
from plugins.dcs_kubernetes.tests.served import Served, manifest, served
from plugins.dcs_kubernetes.tests.sessions import asked, is_renewed, opened


@pytest.fixture(scope="module")
def named() -> Iterator[Served]:
    """A server that writes its address into the Endpoints ``kubernetes``; the proxy before it is the service."""
    arguments = ("--bind-address", "0.0.0.0", "--advertise-address", own_address(), "--endpoint-reconciler-type", "lease")
    with served(1, arguments=arguments) as found:
        yield found


def own_address() -> str:
    """An address of this machine that is not of its loopback."""
    found = [one.address for addresses in psutil.net_if_addrs().values() for one in addresses if one.family is socket.AF_INET]
    return next(address for address in found if not address.startswith("127."))


@pytest.fixture
def settings(named: Served, scratch: Path) -> KubernetesSettings:
    """An agent that knows of the service alone, and may ask who is behind it. A certificate is for the service, not for each address."""
    named.account(CONFIG_MAPS, "configmaps")
    role, binding = manifest("rbac-bypass.yaml")
    binding["subjects"][0]["namespace"] = "configmaps"
    named.kubernetes.apply([role, binding])
    document = yaml.safe_load(named.kubernetes.kubeconfig(scratch / "config", token_file=named.token_file("configmaps")).read_text())
    document["clusters"][0]["cluster"] |= {"server": named.servers[0], "tls-server-name": "kubernetes.default.svc"}
    (scratch / "config").write_text(yaml.safe_dump(document))
    return replace(named.settings(CONFIG_MAPS), kubeconfig=str(scratch / "config"), api_servers=(), bypass_api_service=True)


def test_the_server_s_own_address_is_used_and_outlives_the_service(named: Served, scope: str, settings: KubernetesSettings) -> None:
    path = named.kubernetes.path("Endpoints")
    eventually(lambda: own_address() in str(named.kubernetes.ask("GET", path)))  # it says so a while after it is ready
    with opened(named, CONFIG_MAPS, scope, settings=settings) as session:
        wakes = Wakes()
        session.watch(wakes)
        assert wakes.within(CALL_S, after=0)
        lock = take(session, 60.0)
        (service,) = named.proxies
        with service.suffering(Fault(refuse=True)):
            service.cut()
            asked_before = asked(named)["PATCH configmaps"]
            answer = renew(session, lock, 60.0)
            assert isinstance(answer, Renewed)
            assert asked(named)["PATCH configmaps"] == asked_before + 1
            before = wakes.quiet(1.0)
            written(session, Put(name="config", value="1"))
            assert wakes.within(CALL_S, after=before)


def test_without_it_a_service_that_leads_nowhere_is_the_end(named: Served, scope: str, settings: KubernetesSettings) -> None:
    with opened(named, CONFIG_MAPS, scope, settings=replace(settings, bypass_api_service=False)) as session:
        lock = take(session, 60.0)
        (service,) = named.proxies
        with service.suffering(Fault(refuse=True)):
            service.cut()
            with pytest.raises(DcsUnavailableError):
                renew(session, lock, 60.0)
        eventually(lambda: is_renewed(session, lock.instance), within_s=EVENTUALLY_S)

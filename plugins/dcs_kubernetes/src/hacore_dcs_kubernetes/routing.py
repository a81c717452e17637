"""How clients are led to the leader: addresses in the leader's Endpoints, in the very write that takes the lock, or in an EndpointSlice.

A slice is an object of its own, so it is written after the lock, and only where it stands as it stood before the lock was taken or renewed:
whoever has led since has written it. Leading clients is worth no lock: it has a short time of its own, and what fails is tried again in
the next turn.
"""

import ipaddress
import logging
from collections.abc import Mapping
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock, Instant
from hacore.model.lease import Lock
from hacore_dcs_kubernetes.client import Client, Json, RefusedByServerError
from hacore_dcs_kubernetes.objects import ENDPOINTS, LEASES, Kind, Place
from hacore_dcs_kubernetes.records import STAMP
from hacore_dcs_kubernetes.settings import KubernetesSettings

_SLICES: Final = "/apis/discovery.k8s.io/v1"
logger = logging.getLogger(__name__)
_LOOK_AGAIN_S: Final = 60.0  # whether somebody has changed the slice
_CALL_S: Final = 1.0  # at most, and ...
_SHARE: Final = 0.25  # ... of what is left: the rest is for the lock


class Routing:
    """Leads clients to this member. Used by one thread at a time."""

    def __init__(self, *, client: Client, kind: Kind, place: Place, settings: KubernetesSettings, member: str, clock: Clock) -> None:
        self._client = client
        self._kind = kind
        self._place = place
        self._settings = settings
        self._member = member
        self._clock = clock
        self._routed: tuple[Lock, Instant] | None = None

    def fields(self, *, leads: bool, uid: str | None) -> dict[str, Any]:
        """Return what the leader's object carries beside its annotations, in the write of the lock."""
        if self._kind is not ENDPOINTS:
            return {}
        if not leads:
            return {"subsets": []}
        address = {"ip": self._settings.pod_ip, "targetRef": self._pod(uid)}
        return {"subsets": [{"addresses": [address], "ports": self._ports()}]}

    def before(self, lock: Lock | None, until: Instant) -> Json | None:
        """Read the slice before the lock is taken or renewed, where it will have to be written; empty: there is none.

        ``None``: it need not be, or cannot be read now.
        """
        if self._kind is not LEASES or self._is_routed(lock):
            return None
        try:
            return self._client.get(self._place.path(_SLICES, "endpointslices", self._place.scope), until=self._soon(until))
        except DcsUnavailableError as error:
            if isinstance(error, RefusedByServerError) and error.is_absence:
                return {}
            logger.warning("where clients are led cannot be seen", extra={"error": str(error)})
        return None

    def after(self, found: Json | None, lock: Lock, *, uid: str | None, until: Instant) -> None:
        """Write the slice that was read before, now that the lock is ours; refused where somebody has written it since."""
        if found is None:
            return
        wanted = self._slice([self._endpoint(uid)], lock)
        stamped = (found.get("metadata", {}).get("annotations") or {}).get(STAMP) == lock.instance
        if not (stamped and found.get("endpoints") == wanted["endpoints"] and found.get("ports") == wanted["ports"]):
            self._write(found, wanted, until)
        self._routed = (lock, self._clock.now())

    def leave(self, lock: Lock, until: Instant) -> None:
        """Lead nobody here any more, before the lock is given back: which does not wait for that to work."""
        self._routed = None
        found = self.before(None, until)
        try:
            if found:
                self._write(found, self._slice([], lock), until)
        except DcsUnavailableError as error:
            logger.warning("clients are still led here", extra={"error": str(error)})

    def forget(self) -> None:
        """Look at the slice again."""
        self._routed = None

    def prepare(self, until: Instant) -> None:
        """Create what keeps the control plane from removing the configuration's Endpoints: a headless Service of the same name."""
        if self._kind is not ENDPOINTS:
            return
        name = f"{self._place.scope}-config"
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": self._place.marks},
            "spec": {"clusterIP": "None"},
        }
        try:
            self._client.write("POST", self._place.path("/api/v1", "services"), body, until=self._soon(until))
        except RefusedByServerError as error:
            if not error.is_conflict:  # it is there already
                logger.warning("the Service that keeps the configuration is not made", extra={"error": str(error)})

    def _is_routed(self, lock: Lock | None) -> bool:
        routed = self._routed
        return routed is not None and routed[0] == lock and self._clock.now() - routed[1] < _LOOK_AGAIN_S

    def _soon(self, until: Instant) -> Instant:
        now = self._clock.now()
        return now + min(_CALL_S, (until - now) * _SHARE)

    def _write(self, found: Json, wanted: dict[str, Any], until: Instant) -> None:
        if not found:
            self._client.write("POST", self._place.path(_SLICES, "endpointslices"), wanted, until=self._soon(until))
            return
        wanted["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        self._client.write("PATCH", self._place.path(_SLICES, "endpointslices", self._place.scope), wanted, until=self._soon(until))

    def _slice(self, endpoints: list[dict[str, Any]], lock: Lock) -> dict[str, Any]:
        labels = {
            **self._place.marks,
            "kubernetes.io/service-name": self._place.scope,
            "endpointslice.kubernetes.io/managed-by": "hacore",
        }
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": self._place.scope, "labels": labels, "annotations": {STAMP: lock.instance}},
            "addressType": f"IPv{ipaddress.ip_address(self._settings.pod_ip or '').version}",
            "endpoints": endpoints,
            "ports": self._ports(),
        }

    def _endpoint(self, uid: str | None) -> dict[str, Any]:
        conditions = {"ready": True}
        return {"addresses": [self._settings.pod_ip], "conditions": conditions, "targetRef": self._pod(uid)}

    def _pod(self, uid: str | None) -> dict[str, str]:
        pod = {"kind": "Pod", "namespace": self._place.namespace, "name": self._member}
        return pod if uid is None else {**pod, "uid": uid}

    def _ports(self) -> list[Mapping[str, Any]]:
        return [
            {**({} if one.name is None else {"name": one.name}), "port": one.port, "protocol": one.protocol} for one in self._settings.ports
        ]

"""The pods of one cluster in the API: the metadata of all is read, that of the own one is written. It knows no rule of membership."""

from collections.abc import Mapping
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Instant
from hacore_dcs_kubernetes.client import METADATA, METADATA_OF_ALL, Client, Json
from hacore_dcs_kubernetes.objects import Place, version_of

_CORE: Final = "/api/v1"
Metadata = Mapping[str, Any]


class Pods:
    """Reads and writes them. Used by one thread at a time."""

    def __init__(self, client: Client, place: Place) -> None:
        self.client = client
        self.place = place

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what asks for metadata alone: what a pod holds besides is large."""
        return METADATA

    def all_of_them(self, **query: str) -> str:
        """Return the path of all pods of the cluster."""
        return self.place.path(_CORE, "pods", labelSelector=self.place.selector, **query)

    def list(self, until: Instant) -> tuple[int, dict[str, Metadata]]:
        """Read all as they stand at one version, which is returned, too."""
        answer = self.client.get(self.all_of_them(), until=until, headers=METADATA_OF_ALL)
        return version_of(answer), dict(self.keyed(pod) for pod in answer.get("items") or ())

    def keyed(self, item: Json) -> tuple[str, Metadata]:
        """Read one, with its name."""
        return str(item["metadata"]["name"]), item["metadata"]

    def get(self, name: str, until: Instant) -> Metadata:
        """Read one as it stands now."""
        answer = self.client.get(self.place.path(_CORE, "pods", name), until=until, headers=METADATA)
        return self._metadata(name, answer)

    def change(self, name: str, metadata: Mapping[str, Any], until: Instant) -> Metadata:
        """Write into the metadata of one; as it stands then."""
        path = self.place.path(_CORE, "pods", name)
        return self._metadata(name, self.client.write("PATCH", path, {"metadata": metadata}, until=until, headers=METADATA))

    def _metadata(self, name: str, answer: Json) -> Metadata:
        found: Metadata | None = answer.get("metadata")
        if found is None:
            raise DcsUnavailableError(f"kubernetes: pod {name}: an answer without metadata")
        return found

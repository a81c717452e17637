"""The dynamic configuration of this node's cluster, as far as it can be known: from the store, or as a node begins without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hacore.cli.site import open_store
from hacore.config import LoadedConfig
from hacore.config.client import ClientSettings
from hacore.config.dynamic import accept, last_known
from hacore.config.explaining import DYNAMIC
from hacore.errors import HacoreError

NONE_YET: Final = "there is none yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What counts, and where it stands."""

    config: Mapping[str, Any] | None
    origin: str
    why_not: str | None = None  # why it is not the one in the store, where that was asked for

    @property
    def warning(self) -> str:
        """The sentence for a person who wanted the one in the store."""
        shown = "its keys show their defaults" if self.config is None else f"its keys are shown as {self.origin} has them"
        return f"the dynamic configuration is not known, {shown}: {self.why_not}"


def known_here(loaded: LoadedConfig, *, why_not: str | None = None) -> Known:
    """Return what a node has before the store has said anything."""
    config, origin = last_known(loaded.local)
    return Known(config=config, origin=origin, why_not=why_not)


def known_in_store(loaded: LoadedConfig) -> Known:
    """Return what stands in the store; where none can be used, what a node has in its stead."""
    local = loaded.local
    settings = ClientSettings(scope=local.scope, namespace=local.namespace, ctl=local.ctl, dcs=local.dcs)
    try:
        with open_store(settings, local.scope) as store:
            text = store.view().config
    except HacoreError as error:
        return known_here(loaded, why_not=str(error))
    accepted = accept(text, None)
    if accepted.config is not None:
        return Known(config=accepted.config, origin=DYNAMIC)
    return known_here(loaded, why_not=NONE_YET if text is None else "; ".join(map(str, accepted.faults)))

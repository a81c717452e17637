"""The labels of a pod that Services select by: they follow the role of its member. Pure: values in, values out."""

import json
from collections.abc import Mapping
from typing import Final

from hacore_dcs_kubernetes.settings import KubernetesSettings

_PRIMARY: Final = ("primary", "master", "standby_leader")
_BOOTSTRAPPING: Final = (
    "initializing new cluster",
    "running custom bootstrap script",
    "starting after custom bootstrap",
    "creating replica",
)


def changes(settings: KubernetesSettings, value: str, present: Mapping[str, str], *, leads: bool) -> dict[str, str | None]:
    """Return the labels of a pod that differ from what the record of its member asks for; ``None``: to be removed."""
    wanted = _wanted(settings, value, leads=leads)
    return {name: text for name, text in wanted.items() if present.get(name) != text}


def removals(settings: KubernetesSettings, present: Mapping[str, str]) -> dict[str, None]:
    """Return the labels of a role, to be removed."""
    return {name: None for name in (settings.role_label, settings.tmp_role_label) if name is not None and name in present}


def _wanted(settings: KubernetesSettings, value: str, *, leads: bool) -> dict[str, str | None]:
    role, state = _role_and_state(value)
    follows = state == "running" and role not in _PRIMARY
    literal = "primary" if leads else role if follows else None
    if leads:
        shown = settings.standby_leader_label_value if role == "standby_leader" else settings.leader_label_value
        label: str | None = shown
    else:
        label = (settings.follower_label_value if role == "replica" else role) if follows else None
    labels = {settings.role_label: label}
    if settings.tmp_role_label is not None:
        labels[settings.tmp_role_label] = literal
    return labels | {name: text if state in _BOOTSTRAPPING else None for name, text in settings.bootstrap_labels}


def _role_and_state(value: str) -> tuple[str, str]:
    try:
        found = json.loads(value)
        return str(found.get("role", "")), str(found.get("state", ""))
    except (ValueError, AttributeError):
        return "", ""

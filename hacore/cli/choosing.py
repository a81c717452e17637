"""Which members are meant, by name and by role; and the question whether that is really meant."""

from collections.abc import Sequence
from typing import Final

import click

from hacore.cli.site import CommandError
from hacore.control.cluster import role_in_cluster
from hacore.model.cluster import ClusterView, Member

ROLES: Final = ("leader", "primary", "standby-leader", "replica", "standby", "any")


def has_role(view: ClusterView, member: Member, role: str) -> bool:
    """Tell whether a member is in one of the roles of the command line."""
    found = role_in_cluster(view, member)
    match role:
        case "any":
            return True
        case "leader":
            return found in {"leader", "standby_leader"}
        case "primary":
            return found == "leader"
        case "standby-leader":
            return found == "standby_leader"
        case _:  # replica, standby
            return found == "replica"


def choose(view: ClusterView, scope: str, names: Sequence[str] = (), role: str = "any") -> tuple[Member, ...]:
    """Return the members of these names and in this role, sorted; no names: all.

    :raises CommandError: a name is nobody's, or nobody is left.
    """
    strangers = [name for name in names if view.member(name) is None]
    if strangers:
        raise CommandError(f"{', '.join(strangers)}: no such member in cluster {scope}")
    meant = sorted((one for one in view.members if not names or one.name in names), key=lambda one: one.name)
    found = tuple(one for one in meant if has_role(view, one, role))
    if not found:
        who = "member" if role == "any" else role
        raise CommandError(f"No {who} among {', '.join(names)}" if names else f"Cluster {scope} has no {who}")
    return found


def leader_of(view: ClusterView) -> Member:
    """Return the record of the member that holds the lock.

    :raises CommandError: nobody holds it.
    """
    if view.leader is None:
        raise CommandError("This cluster has no leader")
    return view.leader


def able_to_lead(view: ClusterView) -> list[str]:
    """Return the names of the members that a person may choose as the next leader."""
    holder = view.lock.holder if view.lock else None
    return sorted(one.name for one in view.members if one.name != holder and one.tags.may_lead)


def confirm(question: str, *, force: bool) -> None:
    """Ask whether it is really meant; a no ends the command with exit code 1."""
    if not force:
        click.confirm(question, abort=True, err=True)

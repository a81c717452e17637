"""``explain``: which rule decided, why, and what would be needed for a failover.

On the node itself its agent tells all. From elsewhere each member is asked for its last decision, and the records of the store say what
keeps each from taking over.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from hacore.cli.console import say, show
from hacore.cli.members_table import title_of
from hacore.cli.parameters import cluster_argument
from hacore.cli.place import Place
from hacore.cli.rest import MemberApi
from hacore.cli.sheet import Column, Row, Sheet, document
from hacore.cli.site import CommandError, open_site
from hacore.config import load
from hacore.config.keys import Dynamic
from hacore.control.cluster import dynamic_of
from hacore.control.explain import obstacles
from hacore.control.wire import SOCKET_NAME, ControlError, ask
from hacore.errors import HacoreError
from hacore.model.cluster import ClusterView
from hacore.model.policy import Policy
from hacore.plugins.schemas import InstalledSchemas

_ASK_S: Final = 5.0
_OK: Final = 200
_NOTHING: Final = "nothing: it can take over"
_MEMBERS: Final = (
    Column(title="Member"),
    Column(title="Role"),
    Column(title="Rule"),
    Column(title="Because", wraps=True),
    Column(title="Fence"),
)
_FAILOVER: Final = (
    Column(title="Member"),
    Column(title="What keeps it from taking over", wraps=True, style=lambda value: "green" if value == _NOTHING else "yellow"),
)
_RULES: Final = (Column(title="Table"), Column(title="Rule"), Column(title="Count", right=True))


@click.command()
@cluster_argument
@click.option("-f", "--format", "form", type=click.Choice(("pretty", "json", "yaml")), default="pretty", show_default=True)
@click.option("--rules", is_flag=True, help="Show also how often each rule has decided on this node.")
@click.option("--remote", is_flag=True, help="Do not ask the agent of this node: ask all members and the store.")
@click.pass_obj
def explain(place: Place, cluster: str | None, form: str, *, rules: bool, remote: bool) -> None:
    """Say which rule decided last, why, and what a failover would need.

    On a node, run as its user, that node explains itself; elsewhere all members are asked.
    """
    own = None if remote or cluster is not None else _agent_of(place)
    if own is not None:
        found = _ask(own)
        _show_node(found, rules=rules) if form == "pretty" else click.echo(document(found, form))
        return
    if rules:
        raise CommandError("only the agent of a node can tell how often its rules have decided: run it there, as its user")
    found = _from_elsewhere(place, cluster)
    _show_cluster(found) if form == "pretty" else click.echo(document({key: found[key] for key in ("scope", "members", "failover")}, form))


def _agent_of(place: Place) -> Path | None:
    """Return the socket of this node's agent; ``None``: the configuration is no node's, or its agent is not to be reached from here."""
    path = place.path()
    if place.dcs_url is not None:
        return None
    try:
        local = load(path, place.settings, plugins=InstalledSchemas()).local
    except HacoreError:
        return None  # it may be that of a client, which is read, and refused, in its own way
    socket = Path(local.guard.state_dir) / SOCKET_NAME
    try:
        return socket if socket.is_socket() else None
    except OSError:  # another user's
        return None


def _ask(socket: Path) -> dict[str, Any]:
    try:
        reply = ask(socket, {"op": "explain"}, timeout_s=_ASK_S)
    except (ControlError, OSError) as error:
        raise CommandError(f"the agent of this node does not answer ({error}); --remote asks the others") from error
    if reply.status != _OK:
        raise CommandError(reply.text)
    found: dict[str, Any] = json.loads(reply.document or "{}")
    return found


def _show_node(found: Mapping[str, Any], *, rules: bool) -> None:
    click.echo(f"Member {found['member']} of cluster {found['scope']}")
    for title, text in node_lines(found):
        say(title, text)
    _show_failover([{**one, "obstacles": one.get("obstacles") or []} for one in found.get("failover") or []])
    if rules:
        rows = tuple({"Table": one["table"], "Rule": one["rule"], "Count": one["count"]} for one in found.get("rules") or [])
        show([Sheet(columns=_RULES, rows=rows, title="Rules since the agent was started")], "pretty")


def node_lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Write an agent's explanation for people: titles and texts."""
    decision, lease, node, store = found["decision"], found.get("lease"), found["node"], found["store"]
    yield "rule", f"{decision['rule']} (table {decision['table']}), {decision['age_s']:.1f} s ago"
    yield "because", decision["reason"]
    yield from (("step", step) for step in decision["steps"])
    yield "lease", _pairs(lease) if lease else "not held"
    yield "fence", _pairs(node.get("fence"))
    yield "server", _pairs({name: value for name, value in node.items() if name != "fence"})
    yield "store", _pairs(store)
    if found.get("job"):
        yield "work", _pairs(found["job"])
    yield from (("command", _pairs(one)) for one in found.get("commands") or [])
    if store.get("refuses_election"):
        yield "note", f"this member does not stand for election: {store['refuses_election']}"


def _pairs(value: object) -> str:
    """Write a mapping on one line, without what is empty."""
    if not isinstance(value, Mapping):
        return str(value)
    shown = {name: one for name, one in value.items() if one not in (None, [], {}, "", False)}
    return ", ".join(f"{name} {_words(one)}" for name, one in shown.items())


def _words(value: object) -> str:
    if isinstance(value, list):
        return "/".join(map(str, value))
    if isinstance(value, Mapping):
        return f"({_pairs(value)})"
    return "yes" if value is True else str(value)


def _from_elsewhere(place: Place, cluster: str | None) -> dict[str, Any]:
    with open_site(place, cluster) as site:
        view = site.existing()
    with MemberApi(site.settings.ctl) as api:
        answers = {one.name: api.ask(one, "GET", "/patroni") for one in view.members}
    documents = {name: answer.document for name, answer in answers.items() if answer.document}
    silent = {name: answer.said for name, answer in answers.items() if not answer.document}
    return cluster_explanation(view, site.scope, documents, silent)


def cluster_explanation(
    view: ClusterView, scope: str, documents: Mapping[str, Mapping[str, Any]], silent: Mapping[str, str]
) -> dict[str, Any]:
    """Put together what members said of themselves, and what their records say. Pure.

    :param documents: the status document of each member that has one.
    :param silent: why there is none, for the others.
    """
    members = [_member(name, documents.get(name, {}), silent.get(name)) for name in sorted(one.name for one in view.members)]
    return {"scope": scope, "title": title_of(view, scope), "members": members, "failover": list(_candidates(view, members))}


def _member(name: str, found: Mapping[str, Any], silence: str | None) -> dict[str, Any]:
    own = found.get("hacore")
    said: Mapping[str, Any] = own if isinstance(own, dict) else {}
    return {
        "member": name,
        "role": found.get("role"),
        "rule": said.get("rule"),
        "reason": said.get("reason") or silence or ("it is not hacore" if not said else None),
        "fence": said.get("fence"),
        "refuses_election": said.get("refuses_election"),
    }


def _candidates(view: ClusterView, members: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    holder = view.lock.holder if view.lock else None
    refuses = {one["member"]: one.get("refuses_election") for one in members}
    policy = _policy(view)
    for one in sorted(view.members, key=lambda one: one.name):
        if one.name != holder:
            found = list(obstacles(one, view, policy))
            found += [f"it does not stand for election: {refuses[one.name]}"] if refuses.get(one.name) else []
            yield {"member": one.name, "obstacles": found}


def _policy(view: ClusterView) -> Policy:
    """Return what of the dynamic configuration an election rests on."""
    reading = dynamic_of(view)
    return Policy(
        maximum_lag_on_failover=reading.take(Dynamic.MAXIMUM_LAG_ON_FAILOVER),
        check_timeline=reading.take(Dynamic.CHECK_TIMELINE),
        pause=reading.take(Dynamic.PAUSE),
    )


def _show_cluster(found: Mapping[str, Any]) -> None:
    rows = tuple(
        {"Member": one["member"], "Role": one["role"], "Rule": one["rule"], "Because": one["reason"], "Fence": one["fence"]}
        for one in found["members"]
    )
    show([Sheet(columns=_MEMBERS, rows=rows, title=found["title"])], "pretty")
    _show_failover(found["failover"])


def _show_failover(candidates: Sequence[Mapping[str, Any]]) -> None:
    rows: tuple[Row, ...] = tuple(
        {"Member": one["member"], "What keeps it from taking over": "; ".join(one["obstacles"]) or _NOTHING} for one in candidates
    )
    if rows:
        show([Sheet(columns=_FAILOVER, rows=rows, title="Failover")], "pretty")

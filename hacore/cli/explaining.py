"""explain: which rule decided, why, and what would be needed for a failover."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from hacore.cli.place import place_of
from hacore.cli.show import console, show_document, show_rows
from hacore.cli.site import CommandError
from hacore.config import load
from hacore.control.wire import ControlError, ask
from hacore.plugins.schemas import InstalledSchemas

_SOCKET: Final = "agent.sock"
_TIMEOUT_S: Final = 5.0
_OK: Final = 200


@click.command()
@click.option(
    "-f", "--format", "form", type=click.Choice(("pretty", "json", "yaml")), default="pretty", show_default=True, help="Output format."
)
@click.option("--rules", is_flag=True, help="Show how often each rule has decided.")
@click.pass_context
def explain(ctx: click.Context, form: str, *, rules: bool) -> None:
    """Tell why this node does what it does. Runs beside its agent, as the same user."""
    local = load(place_of(ctx).path(), place_of(ctx).settings, plugins=InstalledSchemas()).local
    found = _ask(Path(local.guard.state_dir) / _SOCKET)
    if form != "pretty":
        show_document(found, form)
        return
    out = console()
    for line in _lines(found):
        out.print(line, markup=False)
    _show_candidates(found)
    if rules:
        rows = [{"Table": one["table"], "Rule": one["rule"], "Count": one["count"]} for one in found.get("rules", [])]
        show_rows(rows, ("Table", "Rule", "Count"), "pretty", title="Rules since the agent was started")


def _ask(path: Path) -> dict[str, Any]:
    try:
        reply = ask(path, {"op": "explain"}, timeout_s=_TIMEOUT_S)
    except (ControlError, OSError) as error:
        raise CommandError(f"the agent of this node does not answer at {path}: {error}") from error
    if reply.status != _OK:
        raise CommandError(reply.text)
    found: dict[str, Any] = json.loads(reply.document or "{}")
    return found


def _lines(found: dict[str, Any]) -> Iterator[str]:
    decision, lease = found["decision"], found.get("lease")
    yield f"{found['member']} of {found['scope']}"
    yield f"  rule      {decision['table']}.{decision['rule']}, {decision['age_s']:.1f} s ago"
    yield f"  because   {decision['reason']}"
    yield f"  steps     {', '.join(decision['steps']) or 'none'}"
    yield f"  server    {_pairs(found.get('node'))}"
    yield f"  store     {_pairs(found.get('store'))}"
    yield f"  lease     {_pairs(lease) if lease else 'not held'}"
    if found.get("job"):
        yield f"  work      {_pairs(found['job'])}"


def _pairs(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    plain = {name: one for name, one in value.items() if one not in (None, [], {}, "") and not isinstance(one, dict | list)}
    return ", ".join(f"{name}={one}" for name, one in plain.items())


def _show_candidates(found: dict[str, Any]) -> None:
    rows = [{"Member": one["member"], "Failover": "; ".join(one["obstacles"]) or "could take over"} for one in found.get("failover") or []]
    if rows:
        show_rows(rows, ("Member", "Failover"), "pretty")

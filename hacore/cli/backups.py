"""``backup``: what the repository holds, and the wish for a backup, a check or an expiry. The leader gives it out; members carry it out."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final

import click
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from hacore.cli.backups_table import backup_sheet, backups_sheet, expiry_sheet
from hacore.cli.choosing import confirm, leader_of
from hacore.cli.console import console_for, show
from hacore.cli.parameters import cluster_argument, force_option, format_option
from hacore.cli.place import Place
from hacore.cli.rest import Answer, MemberApi
from hacore.cli.sheet import document
from hacore.cli.site import CommandError, Site, open_site
from hacore.errors import DcsUnavailableError
from hacore.interfaces import BackupKind
from hacore.model.backups import BackupRecord, BackupResult
from hacore.model.cluster import Member

_POLL_S: Final = 0.5
_LIST_S: Final = 30.0
_NOT_HERE: Final = frozenset({404, 501})  # no plugin there, nothing that goes on, or a member that knows no such path
_PERCENT: Final = "%"


@click.group()
def backup() -> None:
    """Make, list, verify and expire the backups of a cluster."""


@backup.command("list")
@cluster_argument
@format_option
@click.pass_obj
def list_backups(place: Place, cluster: str | None, form: str) -> None:
    """Show the backups in the repository, what goes on, and when the next one is due."""
    with open_site(place, cluster) as site:
        found = _listed(site)
    show([backups_sheet(found, site.scope)], form)


@backup.command()
@click.argument("backup_id", metavar="BACKUP")
@click.option("--cluster", metavar="NAME", help="The cluster; default: the configured one.")
@format_option
@click.pass_obj
def info(place: Place, backup_id: str, cluster: str | None, form: str) -> None:
    """Show everything that is known of one backup."""
    with open_site(place, cluster) as site:
        found = _listed(site)
    one = next((one for one in found["backups"] if one["id"] == backup_id), None)
    if one is None:
        raise CommandError(f"there is no backup {backup_id}")
    if form in {"json", "yaml", "yml"}:
        click.echo(document(one, form))
    else:
        show([backup_sheet(one)], form)


@backup.command()
@cluster_argument
@click.option("--kind", type=click.Choice([str(kind) for kind in BackupKind]), help="How much is copied; default: as configured.")
@click.option("--member", metavar="NAME", help="Where; default: as configured (hacore.backup.prefer).")
@click.option("--no-wait", "leaves", is_flag=True, help="Come back as soon as it stands in the store.")
@format_option
@click.pass_obj
def run(place: Place, cluster: str | None, kind: str | None, member: str | None, form: str, *, leaves: bool) -> None:
    """Make a backup now."""
    with open_site(place, cluster) as site:
        body = {"work": "backup", "kind": kind, "member": member}
        _begin(site, body, form, leaves=leaves)


@backup.command()
@click.argument("backup_id", required=False, metavar="[BACKUP]")
@click.option("--cluster", metavar="NAME", help="The cluster; default: the configured one.")
@click.option("--restore", is_flag=True, help="Also restore it into a scratch directory, start PostgreSQL there and read.")
@click.option("--member", metavar="NAME", help="Where; default: as configured (hacore.backup.prefer).")
@click.option("--no-wait", "leaves", is_flag=True, help="Come back as soon as it stands in the store.")
@format_option
@click.pass_obj
def verify(
    place: Place, backup_id: str | None, cluster: str | None, member: str | None, form: str, *, restore: bool, leaves: bool
) -> None:  # fmt: skip
    """Check a backup, the newest good one unless another is named."""
    with open_site(place, cluster) as site:
        body = {"work": "verify", "backup": backup_id, "restore": restore or None, "member": member}
        _begin(site, body, form, leaves=leaves)


@backup.command()
@cluster_argument
@click.option("--dry-run", is_flag=True, help="Only say what would go, and why the rest stays.")
@force_option
@click.option("--no-wait", "leaves", is_flag=True, help="Come back as soon as it stands in the store.")
@format_option
@click.pass_obj
def expire(place: Place, cluster: str | None, form: str, *, dry_run: bool, force: bool, leaves: bool) -> None:
    """Remove the backups that the retention does not keep."""
    with open_site(place, cluster) as site:
        plan = _answer(site, "POST", {"work": "expire", "dry_run": True}).document
        if form == "pretty" or dry_run or not plan["remove"]:
            show([expiry_sheet(plan)], form)
        if dry_run or not plan["remove"]:
            return
        confirm(f"Remove {len(plan['remove'])} of {len(plan['remove']) + len(plan['keep'])} backups?", force=force)
        _begin(site, {"work": "expire"}, form, leaves=leaves)


@backup.command()
@cluster_argument
@click.pass_obj
def cancel(place: Place, cluster: str | None) -> None:
    """End the backup, check or expiry that goes on."""
    with open_site(place, cluster) as site:
        click.echo(_answer(site, "DELETE", None).said)


def _begin(site: Site, body: Mapping[str, object], form: str, *, leaves: bool) -> None:
    answer = _answer(site, "POST", {name: value for name, value in body.items() if value is not None})
    task = answer.document.get("task")
    if task is None:  # nothing had to be done
        click.echo(answer.said)
        return
    if leaves:
        click.echo(document(task, form) if form in {"json", "yaml", "yml"} else f"{task['work']} begins on {task['member']}")
        return
    try:
        result = _wait(site, task, form)
    except KeyboardInterrupt as error:
        raise CommandError(
            f"{task['work']} goes on on {task['member']}: `hacore backup list` shows it, `hacore backup cancel` ends it"
        ) from error
    if form in {"json", "yaml", "yml"}:
        found = {"work": str(result.work), "backup": result.backup, "on": result.member, "error": result.error, "detail": result.detail}
        click.echo(document({name: value for name, value in found.items() if value}, form))
    elif result.is_done:
        said = f": {result.detail}" if result.detail else ""
        click.echo(f"{result.work} {result.backup or ''} done on {result.member}{said}".replace("  ", " "))
    if not result.is_done:
        raise CommandError(f"{result.work} on {result.member} failed: {result.error}")


def _wait(site: Site, task: Mapping[str, Any], form: str) -> BackupResult:
    """Show how far it is until it has ended. Interrupted, the work goes on."""
    with _bar(form) as bar:
        shown = bar.add_task(f"{task['work']} on {task['member']}", total=None)
        while True:
            try:
                record = site.view().backups or BackupRecord()
            except DcsUnavailableError as error:
                bar.update(shown, description=f"the store does not answer: {error}")
                time.sleep(_POLL_S)
                continue
            now = record.task
            if now is None or now.id != task["id"]:
                break
            state = now.progress if now.taken else "waits until it is taken"
            percent = _percent(state)
            bar.update(
                shown,
                description=f"{now.work} on {now.member}: {state}",
                total=100 if percent is not None else None,
                completed=percent or 0,
            )
            time.sleep(_POLL_S)
    result = next((one for one in record.results if one.id == task["id"]), None)
    if result is None:
        raise CommandError(
            f"{task['work']} has ended, and other work has begun since: look at `hacore history --events` on {task['member']}"
        )
    return result


@contextmanager
def _bar(form: str) -> Iterator[Progress]:
    """A bar on standard error, where somebody looks at it."""
    console = console_for(sys.stderr)
    columns: tuple[ProgressColumn, ...] = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=form != "pretty" or not console.is_terminal) as bar:
        yield bar


def _percent(progress: str) -> float | None:
    """Read ``34 %`` out of what a tool says."""
    words = progress.replace(_PERCENT, f" {_PERCENT} ").split()
    for number, unit in pairwise(words):
        if unit == _PERCENT:
            try:
                return min(100.0, max(0.0, float(number)))
            except ValueError:
                continue
    return None


def _listed(site: Site) -> dict[str, Any]:
    answer = _answer(site, "GET", None)
    return {"backups": [], **answer.document}


def _answer(site: Site, method: str, body: object) -> Answer:
    """Ask the leader; what only looks, also any other member."""
    view = site.existing()
    asked: list[Member] = [view.leader] if view.leader is not None else []
    if method != "POST":
        asked += [one for one in view.members if one is not view.leader]
    elif not asked:
        leader_of(view)  # says that there is none
    said = ""
    with MemberApi(site.settings.ctl) as api:
        for member in asked:
            answer = api.ask(member, method, "/backups", body, read_s=_LIST_S)
            if answer.is_good:
                return answer
            said = said or f"{member.name}: {_reason(answer)}"  # what the leader has said is what counts
            if answer.was_asked and answer.status not in _NOT_HERE:
                break
    raise CommandError(said or "no member can be asked")


def _reason(answer: Answer) -> str:
    error = answer.document.get("error")
    return error if isinstance(error, str) else answer.said or json.dumps(answer.status)

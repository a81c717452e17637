"""Commands to single members: ``restart``, ``reload``, ``reinit``, ``flush`` (interface reference 9)."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import click

from hacore.cli.choosing import choose, confirm
from hacore.cli.console import show
from hacore.cli.copying import Copy, NotCopiedError, said_of
from hacore.cli.members_table import members_sheet
from hacore.cli.moment import ask_time
from hacore.cli.outcome import Report
from hacore.cli.parameters import force_option, format_option, members_arguments, role_option, wait_options
from hacore.cli.place import Place
from hacore.cli.rest import Answer, MemberApi
from hacore.cli.site import CommandError, Site, loop_wait_s, open_site
from hacore.config.keys import Dynamic
from hacore.control.cluster import dynamic_of, is_paused
from hacore.convert import WrongValueError, seconds
from hacore.model.cluster import ClusterView, Member
from hacore.records import names

_CONFLICT: Final = 409
_ACCEPTED: Final = 202
_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503
_BEYOND_START_S: Final = 150.0  # a member answers after what a start may take and 120 s for the stop
_UNKNOWN: Final = frozenset({"restart status unknown", "the agent did not answer"})
_POLL_S: Final = 2.0
_BUSY: Final = "already in progress"
_LIMITS: Final = frozenset(
    {
        "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions",
        "max_wal_senders",
        "max_worker_processes",
    }
)


@click.command()
@members_arguments
@role_option
@click.option("--any", "only_one", is_flag=True, help="Only one of them, the first that fits.")
@click.option("--scheduled", metavar="TIME", help="When, as 2030-01-31T23:59+00:00; default: now.")
@click.option("--pg-version", metavar="VERSION", help="Only where PostgreSQL is older than this, as 16.2.")
@click.option("--pending", is_flag=True, help="Only where a setting waits for a restart.")
@click.option("--timeout", metavar="TIME", help="How long the start of a primary may take, as 30 or 5min, before another takes over.")
@force_option
@format_option
@click.pass_obj
def restart(
    place: Place,
    cluster: str | None,
    members: tuple[str, ...],
    role: str,
    scheduled: str | None,
    pg_version: str | None,
    timeout: str | None,
    form: str,
    *,
    only_one: bool,
    pending: bool,
    force: bool,
) -> None:
    """Restart PostgreSQL, now or at a time: the members named, or all."""
    with open_site(place, cluster) as site:
        view = site.existing()
        chosen = in_order(view, choose(view, site.scope, members, role)[: 1 if only_one else None])
        _show_first(view, site, form, force=force)
        at = ask_time(scheduled, "restart", asks=not force)
        if at is not None and is_paused(view):
            raise CommandError("Can't schedule restart in the paused state")
        confirm(_question("restart", chosen), force=force)
        if pg_version is None and not force:
            pg_version = click.prompt("Restart only where PostgreSQL is older than (e.g. 16.2)", default="", show_default=False, err=True)
        wanted = {"schedule": at.isoformat() if at else None, "postgres_version": pg_version, "timeout": timeout}
        body: dict[str, Any] = {name: value for name, value in wanted.items() if value} | ({"restart_pending": True} if pending else {})
        report, read_s = Report(form), start_s(view, timeout) + _BEYOND_START_S
        with MemberApi(site.settings.ctl) as api:
            for number, member in enumerate(chosen, 1):
                if force and "schedule" in body and member.scheduled_restart is not None:
                    api.ask(member, "DELETE", "/restart")
                answer = api.ask(member, "POST", "/restart", body, read_s=read_s)
                report.add(member.name, answer, _restarted(member.name, answer))
                if answer.is_lost or answer.said in _UNKNOWN:  # it may be down still: no other may go down beside it
                    _stop_the_round(member, chosen[number:])
                    break
    report.finish()


def in_order(view: ClusterView, chosen: Sequence[Member]) -> tuple[Member, ...]:
    """Return members in the order in which they are to be restarted: the leader last, but first where a limit is being lowered.

    A standby refuses to run with smaller limits than the leader's (interface reference 2.5).
    """
    leader = view.lock.holder if view.lock else None
    lowers = any(_is_lowered(*reason) for one in chosen for reason in one.pending_restart_reason)
    return tuple(sorted(chosen, key=lambda one: ((one.name == leader) != lowers, one.name)))


def _is_lowered(setting: str, old: str, new: str) -> bool:
    return setting in _LIMITS and old.isdecimal() and new.isdecimal() and int(new) < int(old)


def start_s(view: ClusterView, timeout: str | None) -> float:
    """Return how long the start of a member may take."""
    with suppress(WrongValueError):  # the members say what they want
        if timeout is not None:
            return seconds(timeout)
    return dynamic_of(view).take(Dynamic.PRIMARY_START_TIMEOUT)


def _stop_the_round(member: Member, left: Sequence[Member]) -> None:
    said = f"how the restart of member {member.name} ends is not known"
    if left:
        said += f", so not restarted: {', '.join(one.name for one in left)}"
    click.echo(f"Warning: {said}; see hacore list", err=True)


def _restarted(name: str, answer: Answer) -> str:
    if answer.status == _ACCEPTED:
        return f"Success: restart scheduled on member {name}"
    if answer.is_good:
        return f"Success: restart on member {name}"
    if answer.status == _CONFLICT:
        return f"Failed: another restart is already scheduled on member {name}"
    return _failed("restart", name, answer)


@click.command()
@members_arguments
@role_option
@force_option
@format_option
@click.pass_obj
def reload(place: Place, cluster: str | None, members: tuple[str, ...], role: str, form: str, *, force: bool) -> None:
    """Let members read their configuration again, as SIGHUP does."""
    with open_site(place, cluster) as site:
        view = site.existing()
        chosen = choose(view, site.scope, members, role)
        _show_first(view, site, form, force=force)
        confirm(_question("reload", chosen), force=force)
        report = Report(form)
        with MemberApi(site.settings.ctl) as api:
            for member in chosen:
                answer = api.ask(member, "POST", "/reload")
                report.add(member.name, answer, _reloaded(member.name, answer, loop_wait_s(view)))
    report.finish()


def _reloaded(name: str, answer: Answer, within_s: float) -> str:
    if answer.status == _ACCEPTED:
        return f"Reload request received for member {name} and will be processed within {within_s:g} seconds"
    return f"No changes to apply on member {name}" if answer.is_good else _failed("reload", name, answer)


@click.command()
@members_arguments
@click.option("--from-leader", is_flag=True, help="Copy from the leader, whatever the tags of others say.")
@force_option
@format_option
@wait_options("Wait until the copy is complete and the member runs.")
@click.pass_obj
def reinit(
    place: Place, cluster: str | None, members: tuple[str, ...], form: str, timeout_s: float, *, from_leader: bool, force: bool, wait: bool
) -> None:
    """Throw the data of standbys away and create them again."""
    with open_site(place, cluster) as site:
        view = site.existing()
        if view.leader is None:
            raise CommandError("Cluster has no leader, can not reinitialize")
        _show_first(view, site, form, force=force)
        chosen = _to_reinitialize(site, view, members, force=force)
        confirm(_question("reinitialize", chosen), force=force)
        report = Report(form)
        begun = []
        with MemberApi(site.settings.ctl) as api:
            for member in chosen:
                copy = Copy(api.ask(member, "GET", "/patroni").document)
                answer = _reinitialize(api, member, from_leader=from_leader, force=force)
                if wait and answer.is_good:
                    begun.append((member, copy))
                else:
                    report.add(member.name, answer, _reinitialized(member.name, answer))
            for member, copy in begun:
                ended = _wait_for_copy(api, member, copy, timeout_s, form)
                report.add(member.name, ended, _reinitialized(member.name, ended))
    report.finish()


def _to_reinitialize(site: Site, view: ClusterView, members: tuple[str, ...], *, force: bool) -> tuple[Member, ...]:
    """Return the standbys that are meant: named one by one, because their data are thrown away."""
    standbys = choose(view, site.scope, role="replica")
    if not members:
        if force:
            raise click.UsageError("name the members whose data are to be thrown away: hacore reinit CLUSTER MEMBER")
        said = str(click.prompt(f"Which member do you want to reinitialize {[one.name for one in standbys]}?", err=True))
        members = tuple(said.replace(",", " ").split())
    return choose(view, site.scope, members, "replica")


def _reinitialize(api: MemberApi, member: Member, *, from_leader: bool, force: bool) -> Answer:
    body = {"force": True} if force else {}
    body |= {"from_leader": True} if from_leader else {}
    answer = api.ask(member, "POST", "/reinitialize", body)
    if answer.is_good or not answer.text.strip().endswith(_BUSY):
        return answer
    if not click.confirm(f"{member.name}: {answer.said}. Cancel it and reinitialize anyway?", err=True):
        return answer
    return api.ask(member, "POST", "/reinitialize", {**body, "force": True})


def _reinitialized(name: str, answer: Answer) -> str:
    if answer.status == _ACCEPTED:
        return f"Reinitialize request received for member {name}: {answer.said}"
    return f"Success: reinitialize for member {name}" if answer.is_good else _failed("reinitialize", name, answer)


def _wait_for_copy(api: MemberApi, member: Member, copy: Copy, timeout_s: float, form: str) -> Answer:
    """Wait until a member runs with new data; return its last answer, with why it does not where it does not."""
    ends_at = time.monotonic() + timeout_s
    said = None
    while True:
        time.sleep(_POLL_S)
        answer = api.ask(member, "GET", "/patroni")
        try:
            if copy.is_complete(answer.document):
                return Answer(status=answer.status, text="reinitialized")
        except NotCopiedError as failure:
            return Answer(status=_UNAVAILABLE, text=str(failure))
        state = said_of(answer.document) or answer.said
        if state != said and form == "pretty":
            click.echo(f"Waiting for reinitialize to complete on {member.name}: {state}", err=True)
            said = state
        if time.monotonic() >= ends_at:
            return Answer(status=_UNAVAILABLE, text=f"not done within {timeout_s:g} s: {state}")


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[CLUSTER [MEMBER]...] restart|switchover")
@role_option
@force_option
@format_option
@click.pass_obj
def flush(place: Place, words: tuple[str, ...], role: str, form: str, *, force: bool) -> None:
    """Take back what waits for its time: restarts of members, or the switchover."""
    *front, what = words
    if what not in {"restart", "switchover"}:
        raise click.UsageError("want restart or switchover at the end")
    cluster, members = (front[0], front[1:]) if front else (None, [])
    with open_site(place, cluster) as site:
        report = Report(form)
        with MemberApi(site.settings.ctl) as api:
            if what == "switchover":
                _flush_switchover(site, api, report)
            else:
                _flush_restarts(api, report, choose(site.existing(), site.scope, members, role), force=force)
    report.finish()


def _flush_restarts(api: MemberApi, report: Report, chosen: tuple[Member, ...], *, force: bool) -> None:
    waiting = [one for one in chosen if one.scheduled_restart is not None]
    for one in chosen:
        if one not in waiting:
            report.add(
                one.name,
                Answer(status=_NOT_FOUND, text="no restarts are scheduled"),
                f"No scheduled restart on member {one.name}",
                done=True,
            )
    if waiting:
        confirm(_question("flush the scheduled restart of", waiting), force=force)
    for one in waiting:
        answer = api.ask(one, "DELETE", "/restart")
        is_gone = answer.is_good or answer.status == _NOT_FOUND
        sentence = f"Success: flush scheduled restart for member {one.name}"
        report.add(one.name, answer, sentence if is_gone else _failed("flush restart", one.name, answer), done=is_gone)


def _flush_switchover(site: Site, api: MemberApi, report: Report) -> None:
    view = site.existing()
    if view.failover is None or view.failover.scheduled_at is None:
        report.add("", Answer(status=_NOT_FOUND, text="no switchover is scheduled"), "No pending scheduled switchover", done=True)
        return
    asked = [one for one in (view.leader, *view.members) if one is not None]
    for one in asked:
        answer = api.ask(one, "DELETE", "/switchover")
        if answer.was_asked:
            report.add(one.name, answer, f"Success: {answer.said}" if answer.is_good else _failed("flush switchover", one.name, answer))
            return
    if not site.replace(names.FAILOVER, names.NO_FAILOVER, expected=view.failover.version):
        raise CommandError("the switchover was changed meanwhile")
    report.add("", Answer(status=200, text="scheduled switchover deleted"), "Success: scheduled switchover deleted in the store")


def _show_first(view: ClusterView, site: Site, form: str, *, force: bool) -> None:
    if not force and form == "pretty":
        show([members_sheet(view, site.scope)], form)


def _question(action: str, chosen: tuple[Member, ...] | list[Member]) -> str:
    return f"Are you sure you want to {action} members {', '.join(one.name for one in chosen)}?"


def _failed(action: str, name: str, answer: Answer) -> str:
    return f"Failed: {action} for member {name}, status code={answer.status}, ({answer.said})"

"""Kind ``replica``: the chain of methods that fill an empty data directory (interface reference 8.1)."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, cast

from hacore.config.postgres_settings import METHOD_FLAGS, PostgresSettings
from hacore.errors import HacoreError, JobCancelledError, PluginUnavailableError
from hacore.hookspecs import ReplicaRequest
from hacore.interfaces import Created, Failed, Job, Offer, Refusal
from hacore.plugins.finding import declared
from hacore.plugins.registry import Plugin, Registry

logger = logging.getLogger(__name__)

BASEBACKUP: Final = "basebackup"
SCRIPT: Final = "script"

_OFFER_S: Final = 10.0
_MOST_WAL_BYTES: Final = 10 << 30
_MOST_WAL_SHARE: Final = 0.3  # of the size of the backup


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One entry of ``create_replica_methods``: which plugin does it, and how."""

    name: str
    plugin: str
    command: str | None = None
    no_params: bool = False
    no_leader: bool = False  # it may run without a server to copy from
    keep_data: bool = False
    options: tuple[tuple[str, str | None], ...] = field(default=(), repr=False)


def methods_of(settings: PostgresSettings, installed: Iterable[str] | None = None) -> tuple[Method, ...]:
    """Return the configured chain.

    A name whose section has ``command`` is a script. One whose section has none is a plugin or, where no plugin has this name, a script
    whose command is the name.

    :param installed: names of the replica plugins; by default those that are installed here.
    """
    known = {one.name for one in declared(["replica"])} if installed is None else set(installed)
    return tuple(_method(name, settings, known) for name in settings.create_replica_methods)


def may_start_without_leader(methods: Iterable[Method]) -> bool:
    """Tell whether some method needs no leader."""
    return any(method.no_leader for method in methods)


def create_replica(
    registry: Registry, methods: Iterable[Method], request: ReplicaRequest, job: Job, clean: Callable[[], None]
) -> Created | Failed:
    """Try the methods one after the other until one has filled the data directory. Runs in the thread of the job.

    :param request: without what is a method's: its name, options and command.
    :param clean: empties the data directory.
    :raises JobCancelledError: the work was cancelled; the directory is clean.
    :raises HacoreError: what ``clean`` raised.
    """
    reasons: list[str] = []
    for method in methods:
        if request.source is None and not method.no_leader:
            reasons.append(f"{method.name}: needs a server to copy from, there is none")
            continue
        outcome = _attempt(registry.get("replica", method.plugin), method, _request_for(request, method), job, clean)
        if isinstance(outcome, Created):
            logger.info("replica created", extra={"method": method.name})
            return outcome
        logger.warning("replica method failed", extra={"method": method.name, "reason": outcome.reason})
        reasons.append(f"{method.name}: {outcome.reason}")
    return Failed(reason="; ".join(reasons) or "no replica method is configured")


def _method(name: str, settings: PostgresSettings, known: set[str]) -> Method:
    if name == BASEBACKUP:
        return Method(name=name, plugin=name, options=tuple((option.name, option.value) for option in settings.basebackup))
    section = settings.methods.get(name)
    if section is None:
        return Method(name=name, plugin=name)
    is_script = section.command is not None or name not in known
    return Method(
        name=name,
        plugin=SCRIPT if is_script else name,
        command=(section.command or name) if is_script else None,
        no_params=section.no_params,
        no_leader=section.no_leader,
        keep_data=section.keep_data,
        options=tuple((key, value) for key, value in section.options.items() if is_script or key not in METHOD_FLAGS),
    )


def _request_for(request: ReplicaRequest, method: Method) -> ReplicaRequest:
    return replace(
        request,
        method=method.name,
        options=method.options,
        command=method.command,
        no_params=method.no_params,
        keeps_data=method.keep_data,
        directory_state=request.directory_state if method.keep_data else "empty",
    )


def _attempt(plugin: Plugin | None, method: Method, request: ReplicaRequest, job: Job, clean: Callable[[], None]) -> Created | Failed:
    if plugin is None:
        return Failed(reason=f"plugin {method.plugin} is not loaded", untouched=True)
    offer = _offer(plugin, request)
    if isinstance(offer, Refusal):
        return Failed(reason=offer.reason, untouched=True)
    outcome = _run(plugin, request, offer, job, clean)
    if isinstance(outcome, Failed) and outcome.retry_after_s is not None:
        logger.warning("replica method failed, one more attempt", extra={"method": method.name, "reason": outcome.reason})
        job.wait(outcome.retry_after_s)
        outcome = _run(plugin, request, offer, job, clean)
    return outcome


def _run(plugin: Plugin, request: ReplicaRequest, offer: Offer | None, job: Job, clean: Callable[[], None]) -> Created | Failed:
    """Run one method in a directory that is clean before it, and after it unless it succeeded."""
    cleans = not request.keeps_data
    if cleans:
        clean()
    job.progress(f"{request.method}: begins")
    try:
        answer = plugin.calls.call_here("hacore_create_replica", Created, Failed, request=request, offer=offer, job=job)
        outcome = cast("Created | Failed | None", answer)
    except JobCancelledError:
        if cleans:
            clean()
        raise
    except HacoreError as error:
        outcome = Failed(reason=str(error))
    if outcome is None:
        outcome = Failed(reason=f"plugin {plugin.name}: hacore_create_replica returned nothing")
    if isinstance(outcome, Failed) and cleans and not outcome.untouched:
        clean()
    return outcome


def _offer(plugin: Plugin, request: ReplicaRequest) -> Offer | Refusal | None:
    if not plugin.calls.has("hacore_replica_offer"):
        return None
    try:
        answer = plugin.calls.call("hacore_replica_offer", Offer, Refusal, limit_s=_OFFER_S, request=request)
    except PluginUnavailableError as error:
        return Refusal(reason=str(error))
    offer = cast("Offer | Refusal | None", answer)
    if isinstance(offer, Offer):
        wrong = next(_wrong_with(offer, request), None)
        return Refusal(reason=wrong) if wrong else offer
    return offer


def _wrong_with(offer: Offer, request: ReplicaRequest) -> Iterator[str]:
    if offer.system_id is not None and request.system_id is not None and offer.system_id != request.system_id:
        yield f"offers system identifier {offer.system_id}, want {request.system_id}"
    history = request.leader_history
    if offer.timeline is not None and history is not None:
        if not history.has(offer.timeline):
            yield f"offers timeline {offer.timeline}, which is not in the history of timeline {history.timeline}"
        elif offer.start_lsn is not None and not history.has_prefix(offer.timeline, offer.start_lsn):
            left = history.end_of(offer.timeline)
            yield f"offers position {offer.start_lsn} of timeline {offer.timeline}, which the leader's history left at {left}"
    if offer.wal_bytes is not None and offer.wal_bytes > _most_wal(offer):
        yield f"offers {offer.wal_bytes} bytes of WAL to replay for {offer.size_bytes} of data, want at most {_most_wal(offer)}"


def _most_wal(offer: Offer) -> int:
    """Return how much WAL is worth replaying: what the method's own settings say, or both of the usual limits."""
    if offer.wal_limit_bytes is not None:
        return offer.wal_limit_bytes
    return _MOST_WAL_BYTES if offer.size_bytes is None else min(_MOST_WAL_BYTES, int(offer.size_bytes * _MOST_WAL_SHARE))

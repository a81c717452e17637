"""The dynamic configuration over REST: shown as it is stored, changed by comparison, never to something that could not be used.

What is stored and members will not do as it is written stands in headers ``Warning`` of the answer (RFC 7234, 5.5; code 199).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hacore.config import dynamic
from hacore.config.remarks import remarks
from hacore.control.context import STORE_S, Body, Context, RefusedError
from hacore.control.wire import Reply, warning
from hacore.errors import ConfigError, DcsUnavailableError
from hacore.interfaces import Dcs, Put, Record, Refused, WriteRequest
from hacore.model.world import World
from hacore.records import names


@dataclass(frozen=True, slots=True)
class _Change:
    config: Mapping[str, Any]
    is_new: bool = True


def show_config(context: Context, _: Body) -> Reply:
    """``GET /config``: keys in the order in which they are stored. While the store is away, as it was seen last."""
    try:
        text = context.loop.call(lambda dcs, world: _value(_record(dcs, context.budget_s(world))), STORE_S)
    except DcsUnavailableError:
        world, _decision = context.latest()
        text = world.cluster.config if world.cluster else None
    if text is None:
        raise RefusedError(502, "there is no config key")
    return Reply(status=200, document=_spaced(text))


def patch_config(context: Context, body: Body) -> Reply:
    """``PATCH /config``: lay a change over what is stored."""

    def change(record: Record | None) -> _Change:
        if record is None:
            raise RefusedError(503, "there is no config key")
        return _Change(*dynamic.patch(_parsed(record.value), body))

    return _write(context, change)


def put_config(context: Context, body: Body) -> Reply:
    """``PUT /config``: replace what is stored."""
    try:
        return _write(context, lambda _: _Change(body))
    except DcsUnavailableError as error:
        raise RefusedError(502, "the config key was not written") from error


def _write(context: Context, change: Callable[[Record | None], _Change]) -> Reply:
    def write(dcs: Dcs, world: World) -> str:
        record = _record(dcs, context.budget_s(world))
        wanted = change(record)
        text = dynamic.dump(wanted.config)
        if not wanted.is_new:
            return text
        _check(text)
        put = Put(name=names.CONFIG, value=text, expected=record.version if record else 0)
        if isinstance(dcs.write(WriteRequest(puts=(put,)), timeout_s=context.budget_s(world)), Refused):
            raise RefusedError(409, "the config key was changed meanwhile")
        return text

    text = context.loop.call(write, STORE_S)
    context.loop.wake()
    return Reply(status=200, document=_spaced(text), headers=warning(remarks(_parsed(text))))


def _check(text: str) -> None:
    """Refuse what no member could use: it would stand in the store, and the last good configuration stay in force."""
    wrong = dynamic.faults(_parsed(text))
    if wrong:
        raise RefusedError(400, "\n".join(map(str, wrong)))


def _parsed(text: str) -> dict[str, Any]:
    try:
        return dynamic.parse(text)
    except ConfigError as error:
        raise RefusedError(400, str(error)) from error


def _record(dcs: Dcs, timeout_s: float) -> Record | None:
    return dcs.snapshot(timeout_s=timeout_s).records.get(names.CONFIG)


def _value(record: Record | None) -> str | None:
    return record.value if record else None


def _spaced(text: str) -> str:
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise RefusedError(502, "the config key holds no JSON") from error

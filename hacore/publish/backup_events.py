"""How work on the cluster's backups has ended between two turns: a pure fold, beside that of everything else (``events``)."""

from hacore.model.backups import BackupResult
from hacore.model.events import EventKind
from hacore.model.world import World
from hacore.publish.events import Data, Happening
from hacore.publish.words import role_word

BackupsTold = tuple[BackupResult, ...] | None  # the results that were told by then; ``None``: the store was not read yet


def tell_of_backups(told: BackupsTold, world: World) -> tuple[BackupsTold, tuple[Happening, ...]]:
    """Return what was told by then and what is to be told after a turn.

    Told once in the cluster: by the member that worked, or where that has gone, by the leader. What stands already at first is not news.
    """
    view = world.cluster
    if view is None:
        return told, ()
    results = view.backups.results if view.backups is not None else ()
    if told is None:
        return results, ()
    fresh = [one for one in results if one not in told]
    mine = [one for one in fresh if one.member == world.me.name or (view.member(one.member) is None and world.lease is not None)]
    return results, tuple(_happening(one, world) for one in mine)


def _happening(result: BackupResult, world: World) -> Happening:
    took_s = round((result.ended_at - result.began_at).total_seconds())
    data: Data = (("work", str(result.work)), ("backup", result.backup or ""), ("on", result.member), ("took_s", took_s))
    role = role_word(world)
    if result.error is None:
        return Happening(kind=EventKind.BACKUP_COMPLETED, role=role, data=(*data, ("detail", result.detail)))
    rest: Data = (("error", result.error), ("failures", result.failures))
    return Happening(kind=EventKind.BACKUP_FAILED, role=role, data=(*data, *rest))

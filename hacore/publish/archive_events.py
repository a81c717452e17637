"""What has happened to the archive between two turns: a pure fold, beside that of everything else (``events``)."""

from dataclasses import dataclass

from hacore.model.archive import ArchiveIdentity
from hacore.model.events import EventKind
from hacore.model.world import World
from hacore.publish.events import Happening
from hacore.publish.words import role_word


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTold:
    """What was told so far. ``kind``: of the trouble that lasts; ``None``: there is none."""

    kind: EventKind | None = None
    about: str = ""


def tell_of_archive(told: ArchiveTold, world: World) -> tuple[ArchiveTold, Happening | None]:
    """Return what was told by then and what is to be told after a turn. On a node whose WAL does not go there nothing is told."""
    state = world.node.archive
    if state is None or not state.is_watched:
        return ArchiveTold(), None
    now = ArchiveTold()
    if state.identity is ArchiveIdentity.CONFLICT:
        now = ArchiveTold(kind=EventKind.ARCHIVE_CONFLICT, about=state.owner or "")
    elif state.fault is not None:
        now = ArchiveTold(kind=EventKind.ARCHIVE_FAILING)
    if now == told:
        return told, None
    role, name = role_word(world), ("archive", state.name)
    match now.kind:
        case EventKind.ARCHIVE_CONFLICT:
            happening = Happening(kind=now.kind, role=role, data=(name, ("owner", now.about)))
        case EventKind.ARCHIVE_FAILING:
            happening = Happening(kind=now.kind, role=role, data=(name, ("error", state.fault or "")))
        case _:
            happening = Happening(kind=EventKind.ARCHIVE_RECOVERED, role=role, data=(name,))
    return now, happening

"""The order of the tables, and the one entry of the stage."""

from typing import Final

from hacore.decide.asked import ASKED
from hacore.decide.empty import EMPTY
from hacore.decide.ending import ENDING
from hacore.decide.following import FOLLOWING, TENDING
from hacore.decide.handing_over import HANDING_OVER
from hacore.decide.identity import IDENTITY
from hacore.decide.leaderless import LEADERLESS
from hacore.decide.leading import LEADING
from hacore.decide.paused import PAUSED
from hacore.decide.promoting import PROMOTING
from hacore.decide.restoring import RESTORING
from hacore.decide.table import AnyTable
from hacore.decide.unsure import UNSURE
from hacore.decide.urgent import URGENT
from hacore.model.world import Decision, World

TABLES: Final[tuple[AnyTable, ...]] = (
    URGENT,
    ENDING,
    UNSURE,
    IDENTITY,
    RESTORING,
    ASKED,
    PAUSED,
    EMPTY,
    HANDING_OVER,
    LEADING,
    PROMOTING,
    LEADERLESS,
    FOLLOWING,
    TENDING,
)


def decide(world: World, tables: tuple[AnyTable, ...] = TABLES) -> Decision:
    """Return what to do about ``world``: the answer of the first rule, in the order of the tables, that has one."""
    for table in tables:
        decision = table.answer(world)
        if decision is not None:
            return decision
    return Decision(table="none", rule="no_rule_answered", reason="no table knows this situation")


def rule_names(tables: tuple[AnyTable, ...] = TABLES) -> tuple[str, ...]:
    """Return the names of all rules, in the order in which they are asked."""
    return tuple(name for table in tables for name in table.rule_names)

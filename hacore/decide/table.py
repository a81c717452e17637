"""What a table of rules is: a view that narrows the world, and rules of which the first answer wins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hacore.model.world import Answer, Decision, World

View = TypeVar("View")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[View]):
    """Rules for one kind of situation, safety first. A table whose rules all pass leaves the world to the next one."""

    name: str
    narrow: Callable[[World], View | None]
    rules: tuple[Callable[[View], Answer | None], ...]

    @property
    def rule_names(self) -> tuple[str, ...]:
        """Return the names of the rules in their order."""
        return tuple(rule.__name__ for rule in self.rules)

    def answer(self, world: World) -> Decision | None:
        """Return the first answer with the name of its rule; ``None`` where the table does not apply or has none."""
        view = self.narrow(world)
        if view is None:
            return None
        for rule in self.rules:
            found = rule(view)
            if found is not None:
                return Decision(
                    table=self.name, rule=rule.__name__, reason=found.reason, steps=found.steps, wake_after_s=found.wake_after_s
                )
        return None


class AnyTable(Protocol):
    """A table whatever its view."""

    @property
    def name(self) -> str:
        """Return the table's name."""

    @property
    def rule_names(self) -> tuple[str, ...]:
        """Return the names of the rules in their order."""

    def answer(self, world: World) -> Decision | None:
        """Return the table's decision on ``world``, if it has one."""

"""How an action ended, member by member: told as it happens, or as one document at the end; the exit code follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import click

from hacore.cli.rest import Answer
from hacore.cli.sheet import Column, Sheet, for_programs

FAILED: Final = 1
_COLUMNS: Final = tuple(Column(title=title) for title in ("Member", "Done", "Status", "Text"))


@dataclass(slots=True)
class Report:
    """What was done so far."""

    form: str
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, member: str, answer: Answer, sentence: str, *, done: bool | None = None) -> None:
        """Note how it ended on one member; people read the sentence, at once: what failed on standard error."""
        is_done = answer.is_good if done is None else done
        self.rows.append({"Member": member, "Done": is_done, "Status": answer.status, "Text": answer.said})
        if self.form == "pretty":
            click.echo(sentence, err=not is_done)

    def finish(self) -> None:
        """Write the document where one is wanted, and end the command with 1 where something failed."""
        if self.form != "pretty":
            click.echo(for_programs([Sheet(columns=_COLUMNS, rows=tuple(self.rows))], self.form))
        if not all(row["Done"] for row in self.rows):
            click.get_current_context().exit(FAILED)

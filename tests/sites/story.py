"""What happens at every site, told once: each step waits for what a person would wait for, by the site's own command line."""

import json
from typing import Any, Final

from hacore.testing.waiting import wait_for
from tests.sites.client import TABLE, Load, ask, rows_at
from tests.sites.machines import Machines

CONFIG: Final = "/srv/hacore/node.yml"
NODES: Final = ("db1", "db2", "db3")
_READY_S: Final = 180.0
_MOVE_S: Final = 120.0
_COPY_S: Final = 180.0
_SOME: Final = 100


class Site:
    """A site that runs, and those who use it."""

    def __init__(self, machines: Machines, dsn: str) -> None:
        self.machines = machines
        self.load = Load(dsn)
        self.lost: set[str] = set()

    def hacore(self, *words: str, on: str | None = None, check: bool = True) -> str:
        """Run a command of hacore on a node that is there."""
        node = on or next(name for name in NODES if name not in self.lost)
        return self.machines.execute(node, "hacore", "-c", CONFIG, *words, check=check).stdout

    def members(self) -> list[dict[str, Any]]:
        """Return the members as ``hacore list`` shows them; none while it cannot."""
        said = self.hacore("list", "--format", "json", check=False)
        found: list[dict[str, Any]] = json.loads(said) if said.strip().startswith("[") else []
        return found

    def leader(self) -> str | None:
        """Return who leads and runs."""
        return next((one["Member"] for one in self.members() if one["Role"] == "Leader" and one["State"] == "running"), None)

    def is_whole(self) -> bool:
        """Tell whether one leads, and all others that are there stream from it."""
        members = [one for one in self.members() if one["Member"] not in self.lost]
        streams = [one for one in members if one["State"] == "streaming"]
        return len(members) == len(NODES) - len(self.lost) and len(streams) == len(members) - 1 and self.leader() is not None

    def wait_whole(self, what: str) -> None:
        """Wait until it is whole."""
        wait_for(self.is_whole, what, deadline_s=_READY_S)

    def wait_rows(self) -> None:
        """Wait until clients write."""
        count = len(self.load.acknowledged())
        wait_for(lambda: len(self.load.acknowledged()) > count + _SOME, "clients write", deadline_s=_MOVE_S)

    # --- the story -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Bootstrap, and let clients write."""
        self.machines.start()
        self.wait_whole("the cluster is whole")
        with self.machines.reached():
            self.load.start()
        self.wait_rows()
        self.load.take()

    def switch_over(self) -> str:
        """Move the primary in order, and return its new place."""
        before = self.leader()
        candidate = next(name for name in NODES if name not in {before, *self.lost})
        self.hacore("switchover", "--leader", str(before), "--candidate", candidate, "--force")
        wait_for(lambda: self.leader() == candidate, f"{candidate} leads", deadline_s=_MOVE_S)
        self.wait_rows()
        self.wait_whole("the old primary streams")
        return candidate

    def lose_the_primary(self) -> str:
        """Lose the primary's whole machine, and return which it was."""
        lost = str(self.leader())
        self.machines.kill(lost)
        self.lost.add(lost)
        wait_for(lambda: self.leader() not in {None, lost}, "somebody else leads", deadline_s=_MOVE_S)
        self.wait_rows()
        return lost

    def bring_back(self, name: str) -> None:
        """Switch the lost machine on again."""
        self.machines.revive(name)
        self.lost.discard(name)
        self.wait_whole(f"{name} is back")

    def make_anew(self, name: str) -> None:
        """Throw a standby's data away, and let it be created again."""
        self.hacore("reinit", "main", name, "--force", "--wait")
        self.wait_whole(f"{name} was created again")

    def lose_nothing_and_go_back(self) -> None:
        """Every row that was acknowledged is there; delete them all, and go back to before."""
        dsn = self.load.dsn
        with self.machines.reached():
            rows = self.load.acknowledged()
            assert rows - rows_at(dsn) == frozenset()
            moment = ask(dsn, "SELECT clock_timestamp()::text")
            ask(dsn, f"DELETE FROM {TABLE} RETURNING 1")  # noqa: S608 - a constant; what a person would like to undo
            assert rows_at(dsn) == frozenset()
            self.hacore("restore", "--to", moment, "--confirm", "main")
            self.wait_whole("everybody streams on the new timeline")
            assert rows - rows_at(dsn) == frozenset()

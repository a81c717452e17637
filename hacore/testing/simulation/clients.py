"""Writers with a session to every server, on the server's side of every partition: whoever takes writes gets them."""

from itertools import count
from typing import Final

from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.judge import Judge
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.wal import WalRecord

_PAUSE_S: Final = 0.2
_BULK_BYTES: Final = 200_000


class Clients:
    """One writer for each machine."""

    def __init__(self, engine: Engine, judge: Judge) -> None:
        self._engine = engine
        self._judge = judge
        self._dice = engine.dice("clients")
        self._numbers = count(1)

    def write_to(self, machine: Machine) -> None:
        """Begin to write to a machine."""
        self._engine.after(self._dice.uniform(0, _PAUSE_S), lambda: self._write(machine))

    def _write(self, machine: Machine) -> None:
        self._engine.after(self._dice.uniform(0.5, 1.5) * _PAUSE_S, lambda: self._write(machine))
        size = _BULK_BYTES if self._dice.random() < 0.02 else self._dice.randrange(200, 3000)
        record = machine.server.commit(next(self._numbers), size)
        if record is not None:
            run = machine.server.run
            delay = self._dice.uniform(0.0005, 0.005)
            self._engine.after(delay, lambda: machine.gate.pass_or_wait(lambda: self._answer(machine, run, record)))

    def _answer(self, machine: Machine, run: int, record: WalRecord) -> None:
        if machine.server.run == run and machine.server.accepts_writes:
            self._judge.acknowledged(machine, record)

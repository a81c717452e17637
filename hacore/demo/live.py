"""The demonstration on a terminal: a view that goes on by itself, and keys that hurt the primary."""

import contextlib
import sys

from rich.console import Console
from rich.live import Live

from hacore import __version__
from hacore.demo.director import Director
from hacore.demo.keyboard import keyboard
from hacore.demo.place import find_place
from hacore.demo.stage import TTL_S, ignore_signals, set_up
from hacore.demo.view import Screen

_TURN_S = 0.2
_QUIT = "q"


def run_live() -> int:
    """Run until somebody wants an end, and answer the exit code: 1 only where a promise was broken."""
    place = find_place()
    code = 0
    with contextlib.suppress(KeyboardInterrupt), set_up(place, _say) as stage:
        stage.cluster.start()
        director = Director(stage.cluster, f"hacore {__version__}   PostgreSQL {place.version}   embedded store   ttl {TTL_S} s")
        director.begin()
        with contextlib.suppress(KeyboardInterrupt):
            _play(director)
        ignore_signals()
        _say("ending three nodes ...")
        code = _bow(director)
        stage.directory.keep = code != 0
    _say("nothing is left behind")
    return code


def _play(director: Director) -> None:
    console = Console()
    with contextlib.ExitStack() as stack:
        read = stack.enter_context(keyboard())
        live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False))
        stack.callback(ignore_signals)  # the terminal is put right, whatever else comes
        while True:
            live.update(Screen(director.scene()), refresh=True)
            for key in read(_TURN_S).lower():
                if key == _QUIT:
                    return
                director.press(key)


def _bow(director: Director) -> int:
    report, judgement = director.conclude()
    for gap in director.gaps:
        _say(f"  write gap {gap}")
    if report is None or judgement is None:
        return 0
    _say(f"rows acknowledged {report.acknowledged:,}, lost {report.lost_rows:,}; moments with two writers: {len(report.overlaps)}")
    for problem in judgement.problems:
        _say(f"WRONG: {problem}")
    return 0 if judgement.is_good else 1


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)  # noqa: T201 - this is a command

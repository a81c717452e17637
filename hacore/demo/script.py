"""The demonstration without a terminal: five things happen to a cluster under a write load, each is told with what it cost the clients."""

import json
import sys
from collections.abc import Callable
from typing import Final

from hacore.demo.acts import ACTS
from hacore.demo.judgement import Judgement, judge
from hacore.demo.place import Place, find_place
from hacore.demo.show import Show
from hacore.demo.stage import set_up
from hacore.demo.telling import document, headline, last_words, step_lines
from hacore.errors import HacoreError

_EXPECTED: Final = (HacoreError, OSError)  # a TimeoutError, too, is one of these


def run_script(*, as_json: bool) -> int:
    """Run all of it and answer the exit code.

    With ``as_json`` one document goes to standard output at the end, and what happens meanwhile to standard error.
    """
    say = _to_error if as_json else _to_output
    place = find_place()
    say(headline(place))
    try:
        show, judgement = _perform(place, say)
    except KeyboardInterrupt:
        say("interrupted: every server was ended, every file removed")
        return 1
    for line in last_words(show, judgement):
        say(line)
    if as_json:
        _to_output(json.dumps(document(place, show, judgement), indent=2))
    return 0 if judgement.is_good else 1


def _perform(place: Place, say: Callable[[str], None]) -> tuple[Show, Judgement]:
    with set_up(place, say) as stage:
        show = Show(cluster=stage.cluster, say=say)
        try:
            for number, act in enumerate(ACTS, 1):
                step = act(show)
                show.steps.append(step)
                for line in step_lines(step, number, len(ACTS)):
                    say(line)
        except _EXPECTED as error:
            notes = getattr(error, "__notes__", ())
            show.problems.append("; ".join([f"{type(error).__name__}: {error}", *notes]))
        judgement = judge(show.conclude(), show.crashes, show.problems)
        stage.directory.keep = not judgement.is_good
    return show, judgement


def _to_output(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


def _to_error(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is a command

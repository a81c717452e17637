"""Write the pages of reference that say again what the code says: rules and hooks, from their docstrings.

python scripts/reference.py           write docs/reference/rules.md and hooks.md
python scripts/reference.py --check   exit code 1 and the names of the pages that are out of date
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import hacore.hookspecs
from hacore.decide.decision import TABLES
from hacore.decide.table import Table

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
RULES_HEAD = """\
# Rules

Each turn of the loop asks the tables from top to bottom. A table has a view: it applies where the view does; others are passed over. In a
table that applies, the rules are asked from top to bottom; the first answer decides, and its steps are carried out. The name of the rule
stands in the log, in `hacore explain`, in the metrics and in the REST answer; it is the name of a function in `hacore/decide/`.

This page is made from the code by `python scripts/reference.py`.
"""
HOOKS_HEAD = """\
# Hooks

What a plugin may implement, by kind. A hook is a method, marked with `hacore.hookspecs.hookimpl`; it takes one frozen request, whose fields
are listed with it. How to build a plugin around them: [writing-plugins.md](../writing-plugins.md).

This page is made from the code by `python scripts/reference.py`.
"""
KINDS = (
    "AnyPlugin",
    "DcsPlugin",
    "ReplicaPlugin",
    "ArchivePlugin",
    "BackupPlugin",
    "RouterPlugin",
    "ListenerPlugin",
    "CommandPlugin",
)


def text_of(thing: object) -> str:
    """A docstring as Markdown: code in single backticks, roles of Sphinx as code."""
    found = inspect.getdoc(thing) or ""
    found = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match[1].rpartition('.')[2] if '~' in match[0] else match[1]}`", found)
    return found.replace("``", "`")


def one_line(thing: object) -> str:
    return " ".join(text_of(thing).split("\n\n", maxsplit=1)[0].split()).replace("|", "\\|")


def applies(table: Table[Any]) -> str:
    """To what a table applies: its function narrows the world to it."""
    narrows = one_line(table.narrow)
    return narrows.replace("Narrow to", "Applies to") if narrows.startswith("Narrow to") else "Applies always."


def rules_page() -> str:
    parts = [RULES_HEAD]
    for table in TABLES:
        if not isinstance(table, Table):
            raise TypeError(f"{table.name}: not a Table")
        parts.append(f"## {table.name}\n\n{applies(table)}\n\n| rule | what it does |\n|---|---|")
        parts[-1] += "".join(f"\n| `{rule.__name__}` | {one_line(rule)} |" for rule in table.rules) + "\n"
    return "\n".join(parts)


def hooks_of(kind: type) -> Iterator[tuple[str, Callable[..., object]]]:
    for name, hook in vars(kind).items():
        if name.startswith("hacore_"):
            yield name, hook.__func__ if isinstance(hook, staticmethod) else hook


def fields_of(request: object) -> str:
    """The fields of a request with their types, as they stand in the source: the comment beside each is its explanation."""
    if not (inspect.isclass(request) and is_dataclass(request)):
        return ""
    lines = inspect.getsource(request).splitlines()
    fields = [line[4:] for line in lines if re.match(r"    \w+: ", line)]
    return f"`{request.__name__}`: {one_line(request)}\n\n```python\n" + "\n".join(fields) + "\n```\n"


def markdown_of(hook: Callable[..., object]) -> str:
    text = re.sub(r"^:(param|raises) (\w+): ", r"- `\2`: ", text_of(hook), flags=re.MULTILINE)
    return re.sub(r"^:returns: ", "- returns ", text, flags=re.MULTILINE)


def hooks_page() -> str:
    parts = [HOOKS_HEAD]
    for name in KINDS:
        kind = getattr(hacore.hookspecs, name)
        parts.append(f"## {name}\n\n{text_of(kind)}\n")
        for hook_name, hook in hooks_of(kind):
            signature = inspect.signature(hook)
            short = re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(signature))  # types without their modules
            parts.append(f"### `{hook_name}`\n\n```python\ndef {hook_name}{short}\n```\n\n{markdown_of(hook)}\n")
            parts.extend(filter(None, (fields_of(one.annotation) for one in signature.parameters.values())))
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    pages = {"rules.md": rules_page(), "hooks.md": hooks_page()}
    stale = [name for name, text in pages.items() if not (PAGES / name).exists() or (PAGES / name).read_text() != text]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/reference/{name} is out of date: python scripts/reference.py writes it anew")
        return 1 if stale else 0
    for name in stale:
        (PAGES / name).write_text(pages[name])
        print(f"docs/reference/{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

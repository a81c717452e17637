"""``hacore plugins new``: a package with a plugin that works, its tests and its README, to be made into one's own."""

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

import click

from hacore.cli.site import CommandError
from hacore.hookspecs import KINDS
from hacore.plugins.finding import declared

_SUFFIX: Final = ".in"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_TITLES: Final = {
    "dcs": "A store for leases and records",
    "replica": "A way to create a standby's data directory",
    "archive": "A place for write-ahead log",
    "backup": "Base backups and their restore",
    "router": "Leads traffic to the primary",
    "listener": "Is told what happens",
    "command": "A command beside those of hacore",
}
_ABOUT: Final = {
    "dcs": "As it was made it is a directory of files that the agents of one machine share, and passes the kit for stores.\n"
    "`file.py` is what to replace by a server; then say so in `hacore_dcs_capabilities`.",
    "replica": "As it was made it copies the source by pg_basebackup, and passes the kit for replica methods.",
    "archive": "As it was made it keeps WAL in a directory by two small programs, and passes the kit for archives.",
    "backup": "As it was made it keeps base backups as directories, and passes the kit for backup tools.",
    "router": "As it was made it keeps a file that says where the primary is, and passes the kit for routers.",
    "listener": "As it was made it writes each change of a node's role to a file, and passes the kit for listeners.",
    "command": "As it was made it brings one command that greets.",
}
_CONFIGURATION: Final = {
    "dcs": "$name:\n  path: /var/lib/$name/store.json",
    "replica": "postgresql:\n  create_replica_methods: [$name, basebackup]\nplugins:\n  $name:\n    max_rate: 100M",
    "archive": "archive: $name\nplugins:\n  $name:\n    path: /srv/archive",
    "backup": "backup:\n  plugin: $name\nplugins:\n  $name:\n    path: /srv/backups",
    "router": "routers: [$name]\nplugins:\n  $name:\n    path: /run/postgresql/primary.json",
    "listener": "listeners: [$name]\nplugins:\n  $name:\n    path: /var/log/postgresql/roles.log",
    "command": "# nothing: a command is there once its distribution is installed",
}


@click.command(name="new")
@click.option("--kind", type=click.Choice(tuple(KINDS)), required=True, help="What the plugin is for.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the package is made; it must not be there yet.  [default: its name, here]",
)
@click.argument("name")
def new(kind: str, directory: Path | None, name: str) -> None:
    """Make a package with a plugin called NAME that works, passes its conformance kit, and is yours to change."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        near = re.sub(r"[^a-z0-9_]", "_", name.lower())
        hint = f", like {near}" if _NAME.fullmatch(near) and not keyword.iskeyword(near) else ""
        raise CommandError(f"{name}: want a name of lower-case letters, digits and underscores that begins with a letter{hint}")
    taken = next((one for one in declared() if one.name == name), None)
    if taken is not None:
        raise CommandError(f"{name}: {taken} is installed, want a name of its own")
    words = words_for(kind, name)
    if (kind == "dcs" and name in _core_sections()) or (kind == "command" and words["command"] in _core_commands()):
        raise CommandError(f"{name}: hacore itself has a {'section' if kind == 'dcs' else 'command'} of this name, want another")
    target = directory or Path(words["distribution"])
    if target.exists():
        raise CommandError(f"{target}: is there already, nothing was written")
    try:
        written = write(kind, target, words)
    except OSError as error:
        raise CommandError(f"{error.filename or target}: {error.strerror}") from error
    click.echo(f"{target}: {len(written)} files")
    for path in written:
        click.echo(f"  {path}")
    click.echo(f"\nNext: pip install -e '{target}[test]' && (cd {target} && pytest) && hacore plugins show {name}")


def _core_sections() -> frozenset[str]:
    from hacore.config.schemas.local import LocalSchema  # noqa: PLC0415 - heavy, and for a store alone

    return frozenset(LocalSchema().fields)


def _core_commands() -> frozenset[str]:
    from hacore.cli.main import ALIASES, COMMANDS  # noqa: PLC0415 - that loads us

    return frozenset((*COMMANDS, *ALIASES))


def words_for(kind: str, name: str) -> dict[str, str]:
    """Return what stands in the templates for each of their words."""
    dashed = name.replace("_", "-")
    words = {
        "kind": kind,
        "name": name,
        "package": f"hacore_{kind}_{name}",
        "distribution": f"hacore-{kind}-{dashed}",
        "prefix": "".join(part.capitalize() for part in name.split("_")),
        "command": dashed,
        "function": f"{name}_command",
        "title": _TITLES[kind],
        "about": _ABOUT[kind],
        "configuration": Template(_CONFIGURATION[kind]).substitute(name=name),
    }
    section = f"{name}:" if kind == "dcs" else f"plugins: {{{name}: ...}}"
    return {**words, "schema_says": f"``{section}``" if kind != "dcs" else f"``{name}: {{path: ...}}``"}


def write(kind: str, target: Path, words: dict[str, str]) -> list[Path]:
    """Write the package, and return its files relative to its directory."""
    written = []
    root = files("hacore.cli") / "templates"
    for base in (root / "any_kind", root / kind):
        for source, parts in _templates(base, ()):
            path = Path(*(words["package"] if part == "package" else part for part in parts))
            place = target / path.with_name(path.name.removesuffix(_SUFFIX))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(Template(source.read_text()).substitute(words))
            written.append(place.relative_to(target))
    return sorted(written)


def _templates(directory: Traversable, parts: tuple[str, ...]) -> list[tuple[Traversable, tuple[str, ...]]]:
    found: list[tuple[Traversable, tuple[str, ...]]] = []
    for one in directory.iterdir():
        if one.is_dir():
            found += _templates(one, (*parts, one.name))
        elif one.name.endswith(_SUFFIX):
            found.append((one, (*parts, one.name)))
    return found

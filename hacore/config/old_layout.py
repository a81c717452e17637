"""Names of older files, brought to today's: connections that stood at the top of ``postgresql``."""

from typing import Any, Final

from hacore.config.document import Document
from hacore.config.fault import Path, Place

# Where the section goes that once stood directly under ``postgresql``. ``pg_rewind`` was another name of the superuser.
_MOVED: Final = {"replication": "replication", "superuser": "superuser", "pg_rewind": "superuser"}


def modernised(document: Document) -> tuple[dict[str, Any], dict[Path, Place], list[tuple[Path, str]]]:
    """Return values and places with old names replaced, and what was replaced."""
    values, places, said = dict(document.values), dict(document.places), list[tuple[Path, str]]()
    section = values.get("postgresql")
    if not isinstance(section, dict):
        return values, places, said
    old = [name for name in _MOVED if isinstance(section.get(name), dict)]
    if not old:
        return values, places, said
    section = dict(section)
    authentication = dict(section["authentication"]) if isinstance(section.get("authentication"), dict) else {}
    for name in old:
        connection = section.pop(name)
        if _MOVED[name] in authentication:
            continue
        authentication[_MOVED[name]] = connection
        before, after = ("postgresql", name), ("postgresql", "authentication", _MOVED[name])
        places |= {(*after, *path[2:]): place for path, place in places.items() if path[:2] == before}
        said.append((before, f"stands under postgresql.authentication.{_MOVED[name]} today"))
    section["authentication"] = authentication
    values["postgresql"] = section
    return values, places, said

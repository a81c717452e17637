"""Where a configuration comes from: a file, a directory of files, or the environment; laid over one another, each value with its place.

It knows no key beyond those of the environment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from hacore.config import environment
from hacore.config.document import MAX_BYTES, Document, decode, parse
from hacore.config.fault import ConfigFaultsError, Fault, Path, Place, dotted

_SUFFIXES: Final = (".yml", ".yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything laid together."""

    document: Document
    warnings: tuple[Fault, ...] = ()


def gather(path: str | None, environ: Mapping[str, str], stores: Iterable[str]) -> Sources:
    """Read all that there is.

    :raises ConfigFaultsError: a source cannot be read at all.
    """
    whole = environment.whole_configuration(environ) if path is None else None
    if whole is not None:
        name, text = whole
        return Sources(document=parse(text, f"environment {name}"))
    document = Document(values={}) if path is None else read_path(path)
    found = environment.read(environ, stores)
    if path is None and not found.values and not found.faults:
        raise ConfigFaultsError(
            [_fault("environment", "no configuration", "a file to be named, PATRONI_CONFIGURATION, or PATRONI_ variables")]
        )
    document = _overlay(document, found)
    return Sources(document=document, warnings=found.warnings)


def read_path(path: str) -> Document:
    """Read a file, or all files of a directory, sorted by name: later ones win, ``null`` removes.

    :raises ConfigFaultsError: one of them cannot be read; all such faults at once.
    """
    place = FilePath(path)
    if not place.is_dir():
        return _read_file(place, str(place))
    files = sorted(one for one in place.iterdir() if one.suffix in _SUFFIXES and one.is_file())
    if not files:
        raise ConfigFaultsError([_fault(path, "a directory without configuration", "files that end with .yml or .yaml")])
    documents: list[Document] = []
    faults: list[Fault] = []
    for one in files:
        try:
            documents.append(_read_file(one, str(one)))
        except ConfigFaultsError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigFaultsError(faults)
    merged = documents[0]
    for later in documents[1:]:
        merged = _merge(merged, later)
    return merged


def _read_file(place: FilePath, name: str) -> Document:
    try:
        with place.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigFaultsError([_fault(name, error.strerror or str(error), "a file that can be read")]) from error
    return parse(decode(data, name), name)


def _merge(earlier: Document, later: Document) -> Document:
    values, places = dict(earlier.values), dict(earlier.places)
    _merge_into(values, places, later, ())
    return Document(values=values, places=places, faults=earlier.faults + later.faults)


def _merge_into(values: dict[str, Any], places: dict[Path, Place], later: Document, path: Path) -> None:
    section = later.values
    for part in path:
        section = section[str(part)]
    for key, value in section.items():
        inner = (*path, key)
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            values[key] = dict(values[key])
            places[inner] = later.places[inner]
            _merge_into(values[key], places, later, inner)
            continue
        _forget(places, inner)
        if value is None:
            values.pop(key, None)
            continue
        values[key] = value
        places.update((place, where) for place, where in later.places.items() if place[: len(inner)] == inner)


def _forget(places: dict[Path, Place], path: Path) -> None:
    for place in [place for place in places if place[: len(path)] == path]:
        del places[place]


def _overlay(document: Document, found: environment.Environment) -> Document:
    values, places = dict(document.values), dict(document.places)
    faults = [*document.faults, *found.faults]
    copied: set[Path] = set()
    for path, value in found.values.items():
        section = values
        for length, part in enumerate(path[:-1], start=1):
            inner = section.get(str(part))
            if not isinstance(inner, dict):
                if inner is not None:
                    faults.append(
                        _fault(found.places[path].file, f"a value for {dotted(path)}", f"{dotted(path[:length])} to be a mapping")
                    )
                inner = {}
            if path[:length] not in copied:
                inner = dict(inner)
                copied.add(path[:length])
            section[str(part)] = inner
            section = inner
        section[str(path[-1])] = value
        _forget(places, path)
        places[path] = found.places[path]
    return Document(values=values, places=places, faults=tuple(faults))


def _fault(file: str, found: str, wanted: str) -> Fault:
    return Fault(file=file, line=None, path="", found=found, wanted=wanted)

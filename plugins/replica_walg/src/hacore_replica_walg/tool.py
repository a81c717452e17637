"""How ``wal-g`` is run: which program, in which environment, and for how long. It does not know what its answers mean."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hacore.errors import ConfigError, PluginUnavailableError
from hacore.interfaces import Finished, Job
from hacore_replica_walg.settings import PREFIXES, WalgSettings

_SHOWN_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The server that ``wal-g`` works for, as far as a request says where it is."""

    data_dir: str | None = None
    socket_dir: str | None = None
    port: int = 5432
    superuser: str = "postgres"

    def environment(self) -> Iterator[tuple[str, str]]:
        """Return how libpq finds it: by its socket, or a password would be asked for."""
        if self.data_dir is not None:
            yield "PGDATA", self.data_dir
        if self.socket_dir is not None:
            yield from (("PGHOST", self.socket_dir), ("PGPORT", str(self.port)), ("PGUSER", self.superuser), ("PGDATABASE", "postgres"))


class Tool:
    """The program with its settings."""

    def __init__(self, settings: WalgSettings) -> None:
        self._settings = settings

    def told(self, **variables: str) -> "Tool":
        """Return the same program, told something more."""
        return Tool(replace(self._settings, environment=(*self._settings.environment, *variables.items())))

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a command line; nothing secret stands in it.

        :raises ConfigError: there is no such program.
        """
        found = shutil.which(self._settings.binary)
        if found is None:
            raise ConfigError(f"walg: no program {self._settings.binary}, want wal-g on PATH or its path in binary")
        config = () if self._settings.config_file is None else ("--config", self._settings.config_file)
        return (str(Path(found).absolute()), *config, *words)

    def own_environment(self, place: Place) -> dict[str, str]:
        """Return what the settings say, and what must hold whatever they say.

        :raises ConfigError: several storages are named, or none.
        """
        found = {**self._envdir(), **dict(self._settings.environment)}
        named = [name for name in PREFIXES if found.get(name)]
        if len(named) > 1:
            raise ConfigError(f"walg: several storages are named: {', '.join(named)}, want one")
        if not named and self._settings.config_file is None:
            raise ConfigError(f"walg: no storage is named in {self._settings.envdir}, want one of {', '.join(PREFIXES)}")
        found |= dict(place.environment())
        found["WALG_PREVENT_WAL_OVERWRITE"] = "true"  # another history under the same name is an error, never the new truth
        prefetch = self._settings.prefetch_dir or (f"{place.data_dir.rstrip('/')}.wal-g" if place.data_dir else None)
        if prefetch is not None:
            found["WALG_PREFETCH_DIR"] = prefetch  # inside of pg_wal it would stop pg_rewind
        return found

    def storages(self) -> list[str]:
        """Return the storages that are named anywhere: in the section, its directory or the file of WAL-G.

        :raises ConfigError: one of these cannot be read, or the first two name several.
        """
        found = {**self._in_file(), **self.own_environment(Place())}
        return [name for name in PREFIXES if found.get(name)]

    def ask(self, base: Mapping[str, str], place: Place, *words: str, limit_s: float) -> tuple[int, str]:
        """Run a command that ends soon, and return its exit code and what it printed.

        :raises PluginUnavailableError: it did not end in time, died, or could not be started.
        """
        environment = {**base, **self.own_environment(place)}
        try:
            process = subprocess.Popen(
                self.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise PluginUnavailableError(f"wal-g cannot be started: {error}") from error
        try:
            printed, said = process.communicate(timeout=max(limit_s, 0))
        except subprocess.TimeoutExpired as error:
            raise PluginUnavailableError(f"wal-g {words[0]} has not ended within {limit_s:.0f} s") from error
        finally:
            _end(process)
        if process.returncode < 0:
            raise PluginUnavailableError(f"wal-g {words[0]} died by signal {-process.returncode}")
        shown = printed.decode(errors="replace")
        return process.returncode, shown if process.returncode == 0 else last_words(said.decode(errors="replace"))

    def run(self, job: Job, base: Mapping[str, str], place: Place, *words: str, on_line: Callable[[str], None] | None = None) -> Finished:
        """Run a command that lasts, as part of a job.

        :raises PluginUnavailableError: it could not be started.
        """
        try:
            return job.run(list(self.command(*words)), environment={**base, **self.own_environment(place)}, on_line=on_line)
        except OSError as error:
            raise PluginUnavailableError(f"wal-g cannot be started: {error}") from error

    def _in_file(self) -> Mapping[str, object]:
        if self._settings.config_file is None:
            return {}
        import yaml  # noqa: PLC0415 - for validation only; JSON is YAML, too

        try:
            found = yaml.safe_load(Path(self._settings.config_file).read_text())
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"walg: config_file {self._settings.config_file}: {error}") from error
        return found if isinstance(found, dict) else {}

    def _envdir(self) -> dict[str, str]:
        if self._settings.envdir is None:
            return {}
        try:
            files = [path for path in Path(self._settings.envdir).iterdir() if path.is_file() and not path.name.startswith(".")]
            return {path.name: _first_line(path.read_text()) for path in files}
        except OSError as error:
            raise ConfigError(f"walg: envdir {self._settings.envdir}: {error.strerror}") from error


def last_words(output: str) -> str:
    """Return what it said last, without the time."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " | ".join(lines[-_SHOWN_LINES:]) or "it said nothing"


def _first_line(text: str) -> str:
    """Return the value in a file of an envdir, as envdir(8) reads it: NUL stands for a line break."""
    return text.partition("\n")[0].rstrip(" \t").replace("\0", "\n")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

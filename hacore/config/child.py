"""Loading in a short-lived process of its own, for those that must stay small: the schema library and YAML end with it.

The answer comes back as a pickle through a pipe that nobody else can write to.
"""

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hacore.config.fault import ConfigFaultsError, Fault
from hacore.config.loaded import LoadedConfig
from hacore.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from hacore.config.loading import PluginSchemas  # with it comes the schema library

_LIMIT_S: Final = 60.0
_MODULE: Final = "hacore.config.child"


def load_in_child(path: str | None, environ: Mapping[str, str], *, plugins: str | None, limit_s: float = _LIMIT_S) -> LoadedConfig:
    """Do what :func:`hacore.config.load` does, in a child.

    :param plugins: ``module:class`` of what gives the schemas of plugins, because an object could not be handed over.
    :raises ConfigFaultsError: with every fault.
    :raises ConfigError, PluginError: as the child raised them, or it gave no answer in time.
    """
    command = [sys.executable, "-m", _MODULE, plugins or "", *([] if path is None else [path])]
    try:
        done = subprocess.run(command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"configuration: not read within {limit_s:g} s") from error
    if done.returncode != 0:
        raise ConfigError(f"configuration: the process that reads it ended with {done.returncode}")
    answer = pickle.loads(done.stdout)  # noqa: S301 - written by our own child
    if isinstance(answer, LoadedConfig):
        return answer
    raise answer


def _schemas(name: str) -> "PluginSchemas | None":
    if not name:
        return None
    module, _, attribute = name.partition(":")
    found: PluginSchemas = getattr(importlib.import_module(module), attribute)()
    return found


def _answer(plugins: str, path: str | None) -> LoadedConfig | ConfigError | PluginError:
    from hacore.config.loading import load_config  # noqa: PLC0415 - only the child loads it

    try:
        return load_config(path, os.environ, plugins=_schemas(plugins), strict=False)
    except ConfigFaultsError as error:
        return error
    except (ConfigError, PluginError) as error:
        return type(error)(str(error))  # without what it refers to, which may not be fit to be sent


def main(arguments: list[str]) -> int:
    """Write the answer to standard output; whatever else prints there goes to standard error."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    answer = _answer(arguments[0], arguments[1] if len(arguments) > 1 else None)
    with os.fdopen(pipe, "wb") as stream:
        stream.write(_pickled(answer))
    return 0


def _pickled(answer: LoadedConfig | ConfigError | PluginError) -> bytes:
    try:
        return pickle.dumps(answer)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        wanted = f"a plugin's settings cannot be handed on: {error}"
        return pickle.dumps(ConfigFaultsError([Fault(file=None, line=None, path="plugins", found=None, wanted=wanted)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

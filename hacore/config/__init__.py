"""Configuration: files, environment and the dynamic part, read, checked and laid over one another.

What a process works with are frozen values that cost next to nothing to import. The functions that read files bring the schema library
with them only when they are called, which may be in a short-lived child.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hacore.config.effective import Effective, effective
from hacore.config.explaining import Row, explain
from hacore.config.fault import ConfigFaultsError, Fault
from hacore.config.features import check_bootstrap
from hacore.config.loaded import LoadedConfig
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.reloading import keep_fixed
from hacore.config.settings import LocalSettings
from hacore.config.timing import choose_times

if TYPE_CHECKING:
    from hacore.config.loading import PluginSchemas  # with it comes the schema library

__all__ = [
    "ConfigFaultsError",
    "Effective",
    "Fault",
    "LoadedConfig",
    "LocalSettings",
    "PostgresSettings",
    "Row",
    "check_bootstrap",
    "choose_times",
    "effective",
    "explain",
    "load",
    "reload",
]


def load(path: str | None, environ: Mapping[str, str], *, plugins: "PluginSchemas | None" = None, strict: bool = False) -> LoadedConfig:
    """Read and check a file, a directory of files, or, without a path, the environment.

    :param environ: the variables as they were when the process began.
    :param plugins: schemas of plugins; without them their sections are taken as they are.
    :param strict: unknown keys are faults, not warnings.
    :raises ConfigFaultsError: with every fault.
    """
    from hacore.config.loading import load_config  # noqa: PLC0415 - see the module's docstring

    return load_config(path, environ, plugins=plugins, strict=strict)


def reload(old: LoadedConfig, path: str | None, environ: Mapping[str, str], *, plugins: "PluginSchemas | None" = None) -> LoadedConfig:
    """Read again. A configuration with any fault is refused as a whole; what a running node cannot change keeps its old value.

    :raises ConfigFaultsError: the old settings stay.
    """
    return keep_fixed(old, load(path, environ, plugins=plugins))

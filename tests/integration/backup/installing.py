"""Installs the test's own backup plugin as a distribution, into a directory that goes onto the path of agents."""

import shutil
from pathlib import Path

HERE = Path(__file__).parent
_METADATA = "Metadata-Version: 2.1\nName: hacore-backup-plain\nVersion: 1.0\n"
_ENTRY_POINTS = """\
[hacore.backup]
plain = hacore_backup_plain.plainplugin:PlainPlugin

[hacore.archive]
plain = hacore_backup_plain.plainplugin:PlainPlugin

[hacore.replica]
plain = hacore_backup_plain.plainplugin:PlainPlugin
"""


def install(directory: Path) -> Path:
    """Return the directory to put onto ``PYTHONPATH``."""
    path = directory / "installed"
    package, info = path / "hacore_backup_plain", path / "hacore_backup_plain-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").touch()
    for name in ("plainplugin.py", "plaintool.py"):
        shutil.copy(HERE / name, package / name)
    (info / "METADATA").write_text(_METADATA)
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    return path

"""What ``hacore demo`` shows: three nodes on this machine become a cluster, lose their primary and elect another, under a write load.

It uses the clusters and the judge of :mod:`hacore.testing`, which need neither a checkout nor a test framework, and knows of the product
what anybody outside knows: processes, REST and SQL.
"""

import os
import sys

from hacore.demo.live import run_live
from hacore.demo.script import run_script


def run(scripted: bool, output_format: str | None) -> int:  # noqa: FBT001 - as the command line gives them
    """Run the demonstration and answer the exit code. Without a terminal, or with ``json``, it is the scripted one.

    :raises HacoreError: it cannot run on this machine; the message says what is missing.
    """
    if scripted or output_format == "json" or not _is_terminal():
        return run_script(as_json=output_format == "json")
    return run_live()


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"

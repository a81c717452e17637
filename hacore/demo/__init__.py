"""What ``hacore demo`` shows: three nodes on this machine become a cluster, lose their primary and elect another, under a write load.

It uses the clusters and the judge of :mod:`hacore.testing`, which need neither a checkout nor a test framework, and knows of the product
what anybody outside knows: processes, REST and SQL.
"""

from hacore.demo.script import run_script


def run(scripted: bool, output_format: str | None) -> int:  # noqa: ARG001, FBT001 - as the command line gives them
    """Run the demonstration and answer the exit code. Without a terminal, or with ``json``, it is the scripted one.

    :raises HacoreError: it cannot run on this machine; the message says what is missing.
    """
    return run_script(as_json=output_format == "json")

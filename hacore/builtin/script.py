"""Replica method by a script of one's own, called as the field calls it (interface reference 8.1)."""

import shlex
from collections.abc import Iterator
from typing import Final

from hacore.hookspecs import ReplicaPlugin, ReplicaRequest, hookimpl
from hacore.interfaces import Created, Failed, Job, Offer

_FLAGS: Final = frozenset({"no_params", "no_leader", "keep_data"})


class ScriptPlugin(ReplicaPlugin):
    """Runs the command of a custom replica method."""

    def __init__(self, settings: object) -> None:
        """Nothing can be set here: the method's section comes with each request."""

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed:  # noqa: ARG002 - it makes none
        """Run the script. Exit code 0 means that the data directory is complete."""
        environment = dict(request.environment)
        if request.source is not None and request.source.passfile is not None:
            environment["PGPASSFILE"] = request.source.passfile
        argv = list(command_line(request))
        try:
            finished = job.run(argv, environment=environment)
        except OSError as error:
            return Failed(reason=f"{argv[0]}: cannot be started: {error}", untouched=True)
        if finished.exit_code == 0:
            return Created()
        lines = finished.output.splitlines()
        return Failed(reason=f"{argv[0]} ended with {finished.exit_code}: {' | '.join(lines[-3:]) or 'it said nothing'}")


def command_line(request: ReplicaRequest) -> Iterator[str]:
    """Write the command line: the words of the command, the method's own keys, and what the field adds unless ``no_params``.

    The flags of the method are among the keys, as scripts of the field know it; with ``no_params`` they are not.
    """
    yield from shlex.split(request.command or request.method)
    for name, value in request.options:
        if not (request.no_params and name in _FLAGS):
            yield f"--{name}={'' if value is None else value}"
    if not request.no_params:
        yield f"--scope={request.context.scope}"
        yield "--role=replica"
        yield f"--datadir={request.data_dir}"
        yield f"--connstring={request.source.conninfo if request.source else ''}"

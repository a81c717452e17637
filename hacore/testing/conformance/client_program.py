"""A client in a process of its own, which the kit can stop and kill at any point: it counts in the store and says how far it came.

Reads a pickled ``(plugin, settings, cluster)`` from its standard input; writes each number that the store has acknowledged to its output.
"""

import pickle
import subprocess
import sys
from typing import IO, Any, cast

from hacore.interfaces import Dcs, Put, Refused, WriteRequest
from hacore.testing.conformance.store import CALL_S, StoreUnderTest, request_for

COUNTER = "counter"


def start(store: StoreUnderTest, cluster: str, member: str) -> "subprocess.Popen[bytes]":
    """Start a client that counts until it is killed."""
    store.admit(cluster, member)
    process = subprocess.Popen([sys.executable, "-m", __spec__.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with cast("IO[bytes]", process.stdin) as given:
        pickle.dump((store.plugin, store.settings, cluster, member), given)
    return process


def main() -> None:
    """Count on from what stands there."""
    plugin, settings, cluster, member = cast("tuple[type[Any], object, str, str]", pickle.load(sys.stdin.buffer))  # noqa: S301 - from the kit
    session: Dcs = plugin(settings).hacore_open_dcs(request_for(cluster, member))
    found = session.snapshot(timeout_s=CALL_S).records.get(COUNTER)
    number, version = (int(found.value), found.version) if found else (0, 0)
    while True:
        number += 1
        answer = session.write(WriteRequest(puts=(Put(name=COUNTER, value=str(number), expected=version),)), timeout_s=CALL_S)
        if isinstance(answer, Refused):
            raise SystemExit(f"somebody else counts, too: {answer}")
        (version,) = answer.versions
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

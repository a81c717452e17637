"""A program that runs a command somewhere else and ends it there when it is told to end.

It holds the standard input of the command open for as long as that shall go on. It is run by its path, in a process of its own: it
imports nothing of ours. Killing ssh alone would leave what it has started on the other host.
"""

import signal
import subprocess
import sys


def main(argv: list[str]) -> int:
    """Run the command to its end and return its exit code; 128 and more: it died by a signal."""
    # A session of its own: the signal that ends us must not reach ssh, which has to tell the other side first.
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)

    def let_go(*_: object) -> None:
        if process.stdin is not None:
            process.stdin.close()

    signal.signal(signal.SIGTERM, let_go)
    signal.signal(signal.SIGINT, let_go)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The `bursar` command: a file for each group of commands, all on one app; here, its entry point."""

import signal
import sys
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130
"""The exit code; that of `study.errors.Interrupted`, which is not imported yet."""


def main() -> None:
    """Run the command; from its first instant SIGTERM and Ctrl-C end it in order.

    Ctrl-C is heard even where a script's background job would have it ignored.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        from bursar.cli.commands import run  # takes a second

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: nothing was begun\n")
        sys.exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Leave as Ctrl-C does, through every context manager: what was started is ended."""
    del number, frame
    raise KeyboardInterrupt

"""The commands, all on one app; beside the entry point, since to import them takes a second."""

import sys

from bursar.cli import checking, looking, running, screen, steering, using
from bursar.cli.app import app

__all__ = ["app", "checking", "looking", "run", "running", "steering", "using"]


def run() -> None:
    """Run the command that the command line names.

    Raises:
        SystemExit: always, with the exit code.
    """
    try:
        app()
    except SystemExit as end:
        # What typer refuses it has said on standard error; that is not enough for a program.
        message = getattr(end.__context__, "format_message", None)
        if message is not None and "--json" in sys.argv:
            shown = {"type": "UsageError", "message": message(), "exit_code": end.code}
            screen.show({"error": shown}, as_json=True)
        raise

"""The `bursar` command: a file for each group of commands, all on one app."""

from bursar.cli import checking, looking, running, steering, using
from bursar.cli.app import app

__all__ = ["app", "checking", "looking", "main", "running", "steering", "using"]


def main() -> None:
    """Run the command; the entry point."""
    app()

"""Screen: where the command writes: results to standard output, all else to standard error."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console, RenderableType

FILE_COLUMNS: Final = 120
"""Of a table that goes to a file or a pipe, unless COLUMNS says otherwise."""


def results() -> Console:
    """Standard output, for people."""
    return Console(highlight=False, width=_width(sys.stdout.isatty()))


def notes() -> Console:
    """Standard error: progress, warnings, errors."""
    return Console(stderr=True, highlight=False, width=_width(sys.stderr.isatty()))


def _width(is_terminal: bool) -> int | None:
    return None if is_terminal or "COLUMNS" in os.environ else FILE_COLUMNS


def show(result: Mapping[str, Any], *rendered: RenderableType, as_json: bool) -> None:
    """Write a result: one JSON object, or what people read.

    Args:
        result: the object.
        rendered: the same for people.
        as_json: which of the two.
    """
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
        return
    console = results()
    for part in rendered:
        console.print(part, soft_wrap=isinstance(part, str))

"""Screen: where the command writes: results to standard output, all else to standard error."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType


def results() -> Console:
    """Standard output, for people."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def notes() -> Console:
    """Standard error: progress, warnings, what to do next."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


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
        console.print(part)

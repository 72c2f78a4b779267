"""Errors as the user meets them: a message that says what to do, an exit code, no traceback."""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, NoReturn

import typer

from bursar.cli import screen
from bursar.home import Home, made
from study.errors import (
    BursarError,
    InfrastructureError,
    Interrupted,
    SpecError,
)
from study.secrets import hidden

DEBUG_VARIABLE: Final = "BURSAR_DEBUG"


class Unexpected(BursarError):
    """A fault of ours; its traceback is kept."""


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command end with the exit code and the message of whatever error stops it.

    Args:
        command: its keyword `as_json` says how the error is written.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            _end(
                Interrupted("left at once; `bursar list` shows what can be resumed"),
                as_json=bool(kwargs.get("as_json")),
            )
        except Exception as exc:  # noqa: BLE001 (the command's boundary: nothing leaves unexplained)
            if os.environ.get(DEBUG_VARIABLE):
                sys.stderr.write(hidden(traceback.format_exc()))
            _end(translated(exc), as_json=bool(kwargs.get("as_json")))

    return run


def translated(exc: Exception) -> BursarError:
    """An error in the words of this project, whoever raised it."""
    if isinstance(exc, BursarError):
        return exc
    import kombu.exceptions  # only where something failed: `bursar list` should not wait for them
    import redis

    from sandbox import SandboxError

    if isinstance(exc, redis.AuthenticationError):
        return InfrastructureError(f"Redis refuses us ({exc}). Mend the password in its URL")
    if isinstance(exc, redis.RedisError | kombu.exceptions.OperationalError):
        notes = [*getattr(exc, "__notes__", ()), "`bursar list` shows what can be resumed"]
        return InfrastructureError(
            f"Redis was lost ({exc}). What was paid for is kept there; `bursar doctor` looks for "
            f"the cause, {notes[0]}"
        )
    if isinstance(exc, SandboxError):
        return InfrastructureError(str(exc))
    return Unexpected(
        f"{type(exc).__name__}: {exc}. This should not happen. The traceback is in "
        f"{_kept(exc)}; {DEBUG_VARIABLE}=1 shows it here"
    )


def _end(error: BursarError, *, as_json: bool) -> NoReturn:
    interrupted = isinstance(error, Interrupted)
    word = "Interrupted" if interrupted else "Error"
    style = "bold yellow" if interrupted else "bold red"
    message = hidden(str(error))
    screen.notes().print(f"[{style}]{word}:[/] ", end="")
    screen.notes().print(message, markup=False, soft_wrap=True)
    if as_json:
        screen.show({"error": _as_json(error)}, as_json=True)
    raise typer.Exit(error.exit_code) from error


def _as_json(error: BursarError) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "type": type(error).__name__,
        "message": hidden(str(error)),
        "exit_code": error.exit_code,
    }
    if isinstance(error, SpecError):
        shown |= {"field": error.field, "problem": error.problem, "remedy": error.remedy}
    return shown


def _kept(exc: Exception) -> str:
    """Keep a traceback for whoever is to mend this; the place where it lies."""
    try:
        file = made(Home().logs) / "bursar.log"
        with file.open("a", encoding="utf-8") as log:
            log.write(hidden("".join(traceback.format_exception(exc))))
    except OSError as reason:
        return f"nowhere, since no log can be written ({reason.strerror})"
    return str(file)

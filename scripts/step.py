"""How a step of the set-up is shown and how it runs long commands, so that all steps read alike."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

ALIVE_EVERY_S = 15.0  # how long a step may be silent before it says that it is still at work
LAST_LINES = 12  # of a failed command's output: enough for the cause, short enough to be read

Outcome = TypeVar("Outcome")


class SetupError(Exception):
    """The set-up can't go on; the message says why and what to do next."""


class CommandFailedError(Exception):
    """A command of the set-up failed or took too long; the message ends with its last lines."""


def report(name: str, work: Callable[[], Outcome]) -> Outcome:
    """Runs one step and prints its line: what it found or did, and how long that took.

    Args:
        name: the step's name, one word.
        work: the step; what it returns is printed.

    Returns:
        What `work` returned.
    """
    started = time.monotonic()
    outcome = work()
    say(name, f"{outcome} ({time.monotonic() - started:.1f} s)")
    return outcome


def announce(name: str, doing: str) -> None:
    """Prints what a step is about to do, where that takes long or changes the machine."""
    say(name, f"{doing} ...")


def say(name: str, sentence: str) -> None:
    """Prints one line of a step."""
    print(f"{name:<8} {sentence}", flush=True)


def run_logged(
    command: Sequence[str | Path],
    *,
    name: str,
    log: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs a long command, its output going to a file, with a sign of life now and then.

    Args:
        command: program and arguments.
        name: the step that it belongs to.
        log: the file that its output is added to.
        timeout_s: after this it is ended.
        environment: its environment; ours where left out.

    Raises:
        CommandFailedError: it could not be run, failed, or took longer than `timeout_s`.
    """
    words = [str(word) for word in command]
    with log.open("a") as output:
        output.write(f"$ {' '.join(words)}\n")
        output.flush()
        started_at = output.tell()
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        except OSError as error:
            raise CommandFailedError(f"{words[0]} can't be run: {error}") from error
        try:
            exit_code = _wait_alive(process, name=name, timeout_s=timeout_s)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if exit_code is None:
        raise CommandFailedError(f"`{' '.join(words)}` took longer than {timeout_s:.0f} s")
    if exit_code != 0:
        raise CommandFailedError(
            f"`{' '.join(words)}` failed (exit code {exit_code}); its last lines:\n"
            + last_lines(log, since=started_at)
        )


def last_lines(log: Path, *, since: int = 0) -> str:
    """The end of a log, indented, for a message.

    Args:
        log: the file; one that is missing reads as empty.
        since: the offset in bytes that the lines must come after.

    Returns:
        At most `LAST_LINES` lines.
    """
    if not log.exists():
        return ""
    lines = log.read_bytes()[since:].decode(errors="replace").splitlines()
    return "\n".join(f"    {line[:300]}" for line in lines[-LAST_LINES:])


def _wait_alive(process: subprocess.Popen[bytes], *, name: str, timeout_s: float) -> int | None:
    """Waits for the process; its exit code, or None where it outlasts `timeout_s`."""
    started = time.monotonic()
    while (elapsed_s := time.monotonic() - started) < timeout_s:
        try:
            return process.wait(min(ALIVE_EVERY_S, timeout_s - elapsed_s))
        except subprocess.TimeoutExpired:
            announce(name, f"still at work after {time.monotonic() - started:.0f} s")
    return None

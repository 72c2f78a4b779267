"""Sees to everything that bursar needs on this machine, in order: what `make setup` runs.

What later recipes must know goes to `.bursar/env`, which they source.
"""

import argparse
import fcntl
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts import compose, engine, image, redis_server, venv
from scripts.dockerd import Dockerd
from scripts.step import SetupError, announce, report, say

ROOT = Path(__file__).resolve().parent.parent
INFRASTRUCTURE_EXIT_CODE = 4
INTERRUPTED_EXIT_CODE = 130


def main() -> int:
    """Sets up; shows no traceback for what the machine lacks.

    Returns:
        The exit code: 0, 4 where something can't be had, 130 where interrupted.
    """
    parser = argparse.ArgumentParser(prog="make setup", description=__doc__)
    parser.add_argument("--tests", action="store_true", help="also what only the tests need")
    for_tests = parser.parse_args().tests
    os.chdir(ROOT)
    folder = Path(".bursar")  # relative: shorter to read in messages
    try:
        folder.mkdir(exist_ok=True)
        with one_at_a_time(folder):
            write_environment(folder / "env", set_up(folder, for_tests=for_tests))
    except SetupError as error:
        print(f"\nSet-up stopped. {error}", file=sys.stderr)
        return INFRASTRUCTURE_EXIT_CODE
    except OSError as error:
        print(f"\nSet-up stopped: {error}. Who owns {ROOT}; is the disk full?", file=sys.stderr)
        return INFRASTRUCTURE_EXIT_CODE
    except KeyboardInterrupt:
        print("\nSet-up interrupted; the next run goes on from here.", file=sys.stderr)
        return INTERRUPTED_EXIT_CODE
    return 0


def set_up(folder: Path, *, for_tests: bool) -> dict[str, str]:
    """Runs the steps.

    Args:
        folder: the checkout's `.bursar`, for logs.
        for_tests: whether to see to what only the tests need, too.

    Returns:
        The environment variables that the recipes run under.

    Raises:
        SetupError: something that nothing works without can't be had.
    """
    log = folder / "setup.log"
    home = Dockerd(folder=folder)
    report("python", lambda: venv.see_to(ROOT, log=log))
    report("redis", lambda: redis_server.find(ROOT / ".venv"))
    missing: list[dict[str, str]] = []
    if for_tests:
        newer = report("redis", lambda: redis_server.see_to_newer(log=log))
        if not newer.usable:
            missing.append(environment_without("BURSAR_NO_REDIS_7", "Redis 7.0 and newer", newer))
    docker = report("engine", lambda: engine.see_to(ROOT, home, log=log))
    if docker.usable:
        docker = report("image", lambda: image.see_to(ROOT, docker))
    if not docker.usable:
        say("engine", "going on without one")
        missing.append(environment_without("BURSAR_NO_ENGINE", "what needs containers", docker))
    elif for_tests:
        composer = report("compose", lambda: compose.see_to(docker, log=log))
        if not composer.usable:
            missing.append(environment_without("BURSAR_NO_COMPOSE", "compose.yaml", composer))
    return together(missing)


def together(missing: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The environment of recipes that must do without several things: each is named at the end.

    Args:
        missing: the environment without each of them.

    Returns:
        All variables; the closing lines one below the other.
    """
    environment = {name: value for without in missing for name, value in without.items()}
    if missing:
        environment["BURSAR_UNTESTED"] = "\n".join(w["BURSAR_UNTESTED"] for w in missing)
    return environment


def environment_without(variable: str, untested: str, why: object) -> dict[str, str]:
    """The environment of recipes that must do without something.

    Args:
        variable: what tells the demo and the tests.
        untested: what no test can run without it.
        why: what the step came to.

    Returns:
        The variable, and the line that closes `make test`.
    """
    cause = str(why).splitlines()[0]
    note = f"NOT TESTED: {untested} ({cause}). The SKIPPED lines above name each test."
    without = {variable: "1", "BURSAR_UNTESTED": note}
    if variable == "BURSAR_NO_ENGINE":  # no containers, so no compose either
        without["BURSAR_NO_COMPOSE"] = "1"
    return without


def write_environment(file: Path, environment: Mapping[str, str]) -> None:
    """Writes variables as a file for the shell to source, whole or not at all.

    Args:
        file: the file, replaced if it exists.
        environment: the variables.
    """
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in environment.items()]
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text("".join(lines))
    unfinished.replace(file)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Holds the set-up's lock: of this machine for root, who changes it; else of this checkout.

    Args:
        folder: the checkout's `.bursar`.

    Yields:
        Once no other set-up is at work.
    """
    lock = Path("/run/bursar-setup.lock") if os.geteuid() == 0 else folder / "setup.lock"
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            announce("setup", "waiting for another set-up to end")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())

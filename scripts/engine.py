"""The Docker engine: the one at hand, else one of our own, else a clear word on what to install."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts import dockerd, programs
from scripts.step import CommandFailedError

PROBE_TIMEOUT_S = 40.0  # above the probe's own three timeouts: an engine that hangs is no engine
# What a daemon of our own needs: the program that must be there, and Debian's package for it.
PACKAGES = {"dockerd": "docker.io", "iptables": "iptables"}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What is known of the Docker engine.

    Attributes:
        usable: whether containers can be had.
        networks: whether containers can be given a network.
        sentence: which engine it is, or why there is none and what to do.
    """

    usable: bool
    networks: bool = False
    sentence: str

    def __str__(self) -> str:
        """The sentence, for the step's line."""
        return self.sentence


def see_to(root: Path, home: dockerd.Dockerd, *, log: Path) -> Engine:
    """Finds the engine that is there, else installs and starts one where we may.

    Args:
        root: the checkout, with its virtual environment.
        home: where a daemon of ours would live.
        log: the file that apt's output goes to.

    Returns:
        The engine; one that is not usable says what to do.
    """
    if os.environ.get("BURSAR_NO_ENGINE"):
        return Engine(usable=False, sentence="not looked for: BURSAR_NO_ENGINE is set")
    engine = probe(root)
    if engine.usable or os.environ.get("DOCKER_HOST") or os.geteuid() != 0:
        return engine
    missing = [package for program, package in PACKAGES.items() if not programs.find(program)]
    try:
        if missing and programs.may_install():
            programs.install(missing, name="engine", log=log)
        if not programs.find("dockerd"):
            raise dockerd.NoDaemonError("There is no dockerd. Install Docker, then run make again.")
        done = dockerd.start(home)
    except (CommandFailedError, dockerd.NoDaemonError) as error:
        return Engine(usable=False, sentence=f"none: {error}")
    engine = probe(root)
    return Engine(
        usable=engine.usable, networks=engine.networks, sentence=f"{engine.sentence}; {done}"
    )


def probe(root: Path) -> Engine:
    """Asks the engine that docker's own environment variables point to, else the default one.

    Args:
        root: the checkout, with its virtual environment.

    Returns:
        The engine; not usable where none answers in time.
    """
    command = [str(root / ".venv" / "bin" / "python"), "-m", "scripts.engine_probe"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=True, timeout=PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return Engine(usable=False, sentence=f"none: {remedy('it hangs')}")
    except subprocess.CalledProcessError as error:
        cause = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Engine(usable=False, sentence=f"none: {remedy(cause)}")
    found = json.loads(answer.stdout)
    return Engine(
        usable=True,
        networks=found["networks"],
        sentence=f"Docker {found['version']}" + ("" if found["networks"] else ", without networks"),
    )


def remedy(cause: str) -> str:
    """Why no engine answers, and what to do about it as who we are.

    Args:
        cause: what the docker library said.

    Returns:
        Sentences for the user.
    """
    host = os.environ.get("DOCKER_HOST")
    if host:
        return f"DOCKER_HOST={host} does not answer ({cause}). Start that engine, or unset it."
    if "Permission denied" in cause or "PermissionError" in cause:
        return (
            "the engine does not let this user in. Join its group (`sudo usermod -aG docker "
            "$USER`), log in again, then run make again."
        )
    return (
        f"no Docker engine answers ({cause}). Install one (`sudo apt-get install docker.io`) and "
        "join its group (`sudo usermod -aG docker $USER`), or run make as root, which does both."
    )

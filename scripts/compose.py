"""What the test of compose.yaml needs: docker-compose, and debootstrap to make base images."""

import os
from dataclasses import dataclass
from pathlib import Path

from scripts import programs
from scripts.engine import Engine
from scripts.step import CommandFailedError

PROGRAMS = ("docker-compose", "debootstrap")  # on Debian the packages have the same names


@dataclass(frozen=True, kw_only=True)
class Compose:
    """Whether compose.yaml can be tested here.

    Attributes:
        usable: whether it can.
        sentence: with what, or why not.
    """

    usable: bool
    sentence: str

    def __str__(self) -> str:
        """The sentence, for the step's line."""
        return self.sentence


def see_to(engine: Engine, *, log: Path) -> Compose:
    """Finds what the test of compose.yaml needs, else installs it where we may.

    Args:
        engine: the Docker engine, if any.
        log: the file that apt's output goes to.

    Returns:
        Whether that test can run, and why not.
    """
    if not engine.usable:
        return Compose(usable=False, sentence="not needed: there is no Docker engine")
    if not engine.networks:
        return Compose(usable=False, sentence="none: the Docker engine has no networks")
    if os.geteuid() != 0:
        return Compose(usable=False, sentence="none: debootstrap needs root")
    missing = [program for program in PROGRAMS if not programs.find(program)]
    if missing and not programs.may_install():
        return Compose(usable=False, sentence=f"none: install {' and '.join(missing)}")
    if missing:
        try:
            programs.install(missing, name="compose", log=log)
        except CommandFailedError as error:
            return Compose(usable=False, sentence=f"none: {error}")
    return Compose(usable=True, sentence=" and ".join(PROGRAMS))

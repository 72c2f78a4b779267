"""Finds programs, and installs missing ones where we may: the only module that runs apt."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from scripts.step import announce, run_logged

# Where Debian keeps programs that only root runs: often not on an ordinary user's PATH.
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"

UPDATE_TIMEOUT_S = 180.0
INSTALL_TIMEOUT_S = 600.0
LOCK_TIMEOUT_S = 120  # how long to wait for another apt at work, such as unattended upgrades


def find(program: str) -> str | None:
    """The path of a program, in the system's folders too; None where there is none."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")


def may_install() -> bool:
    """Whether this machine has apt and we are root."""
    return os.geteuid() == 0 and find("apt-get") is not None


def install(packages: Sequence[str], *, name: str, log: Path) -> None:
    """Installs Debian packages, saying so first. Installing twice is the same as once.

    Args:
        packages: their names.
        name: the step that needs them.
        log: the file that apt's output goes to.

    Raises:
        CommandFailedError: apt could not install them.
    """
    announce(name, f"installing {' '.join(packages)} with apt-get (output in {log})")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-y", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT_S}"]
    run_logged(
        [*apt, "update"], name=name, log=log, timeout_s=UPDATE_TIMEOUT_S, environment=environment
    )
    run_logged(
        [*apt, "install", "--no-install-recommends", *packages],
        name=name,
        log=log,
        timeout_s=INSTALL_TIMEOUT_S,
        environment=environment,
    )

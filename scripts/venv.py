"""The virtual environment: made once, and again only when what it is made from has changed."""

import hashlib
import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from scripts import programs
from scripts.step import CommandFailedError, SetupError, announce, run_logged

MAKE_TIMEOUT_S = 600.0
INSTALL_TIMEOUT_S = 900.0
VERSION_TIMEOUT_S = 20.0
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
VERSION_MIN = (3, 11)


def see_to(root: Path, *, log: Path) -> str:
    """Makes `.venv` with the package in editable mode, or finds that it is up to date.

    Args:
        root: the checkout.
        log: the file that pip's output goes to.

    Returns:
        What was found or done.

    Raises:
        SetupError: it can't be made here.
    """
    venv = root / ".venv"
    stamp_file = venv / "bursar-stamp"
    version = python_version(venv)
    if version is not None and is_made(stamp_file, stamp(root, version=version)):
        return f".venv is up to date (Python {version})"
    if version is None:
        _make(venv, log=log)
        version = python_version(venv)
        if version is None:
            raise SetupError(f"The new {venv} has no Python that runs. Look at {log}.")
    stamp_file.unlink(missing_ok=True)
    _install(venv, root=root, log=log)
    stamp_file.write_text(stamp(root, version=version))
    return f".venv made, with the packages of constraints.txt (Python {version})"


def stamp(root: Path, *, version: str) -> str:
    """What a virtual environment was made from: if this differs, it is out of date.

    Args:
        root: the checkout; its path counts, since a virtual environment can't be moved.
        version: of the Python within, such as "3.11".

    Returns:
        A digest in hexadecimal.
    """
    digest = hashlib.sha256(f"{root.resolve()}\n{version}\n".encode())
    for source in ("pyproject.toml", "constraints.txt"):
        digest.update((root / source).read_bytes())
    return digest.hexdigest()


def is_made(stamp_file: Path, expected: str) -> bool:
    """Whether a finished set-up left the expected stamp; an interrupted one leaves none."""
    return stamp_file.exists() and stamp_file.read_text() == expected


def python_version(venv: Path) -> str | None:
    """The version of the Python in a virtual environment; None where none runs or it is too old."""
    try:
        answer = subprocess.run(
            [venv / "bin" / "python", "-c", VERSION],
            capture_output=True,
            text=True,
            check=True,
            timeout=VERSION_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = answer.stdout.strip()
    return version if tuple(map(int, version.split("."))) >= VERSION_MIN else None


def _make(venv: Path, *, log: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        _install_ensurepip(log=log)
    shutil.rmtree(venv, ignore_errors=True)
    announce("python", f"making .venv with {sys.executable} ({platform.python_version()})")
    try:
        run_logged(
            [sys.executable, "-m", "venv", venv], name="python", log=log, timeout_s=MAKE_TIMEOUT_S
        )
    except CommandFailedError as error:
        shutil.rmtree(venv, ignore_errors=True)
        raise SetupError(f"No virtual environment could be made. {error}") from error


def _install_ensurepip(*, log: Path) -> None:
    """Debian keeps what `python3 -m venv` needs in a package of its own."""
    remedy = (
        f"{sys.executable} can't make virtual environments: it lacks ensurepip. "
        "Install it (on Debian: apt-get install python3-venv) and run make again."
    )
    if not programs.may_install():
        raise SetupError(remedy)
    try:
        programs.install(["python3-venv"], name="python", log=log)
    except CommandFailedError as error:
        raise SetupError(f"{remedy} apt-get was tried: {error}") from error


def _install(venv: Path, *, root: Path, log: Path) -> None:
    announce("python", f"installing the packages of constraints.txt (output in {log})")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    constraints = ["--constraint", str(root / "constraints.txt")]
    try:
        run_logged(
            [*pip, *constraints, "--editable", f"{root}[dev]"],
            name="python",
            log=log,
            timeout_s=INSTALL_TIMEOUT_S,
        )
    except CommandFailedError as error:
        raise SetupError(
            f"pip could not install the packages. {error}\n"
            "Check that pip reaches its package index (`pip config list`), then run make again."
        ) from error

"""The sandbox image: built by the sandbox package itself, tried on the engine at hand."""

import subprocess
from dataclasses import replace
from pathlib import Path

from scripts.engine import Engine
from scripts.step import SetupError

BUILD_TIMEOUT_S = 300.0
ENGINE_EXIT_CODE = 3  # as in scripts/image_build.py, which the system's Python can't import


def see_to(root: Path, engine: Engine) -> Engine:
    """Builds the sandbox image, or finds it, and runs one container of it.

    Args:
        root: the checkout, with its virtual environment.
        engine: the engine that answers.

    Returns:
        The engine with the image's name as its sentence; not usable where it turns out that it
        can't run containers on this machine, or hangs.

    Raises:
        SetupError: the image can't be built.
    """
    command = [str(root / ".venv" / "bin" / "python"), "-m", "scripts.image_build"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return _unfit(f"building the sandbox image took more than {BUILD_TIMEOUT_S:.0f} s")
    cause = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
    if answer.returncode == ENGINE_EXIT_CODE:
        return _unfit(cause)
    if answer.returncode != 0:
        raise SetupError(
            f"The sandbox image could not be built: {cause}\n"
            "`.venv/bin/python -m scripts.image_build` shows it in full."
        )
    return replace(engine, sentence=answer.stdout.strip().splitlines()[-1])


def _unfit(cause: str) -> Engine:
    return Engine(
        usable=False, sentence=f"none: the Docker engine answers but runs no containers: {cause}"
    )

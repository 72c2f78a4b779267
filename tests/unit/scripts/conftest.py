"""Puts the set-up's package on the path (it is not installed), and makes programs that stand in."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

Program = Callable[[Path, str], Path]


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def program() -> Program:
    """Writes an executable script: its path and its text."""

    def write(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """Ours, without what an outer make or pytest tells its children."""
    inner = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in inner and not name.startswith("BURSAR_")
    }

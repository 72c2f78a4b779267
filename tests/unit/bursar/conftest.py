"""A folder of one's own, and an environment without keys and clusters."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _a_bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BURSAR_REDIS_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "BURSAR_DEBUG"):
        monkeypatch.delenv(name, raising=False)

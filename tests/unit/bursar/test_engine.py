"""Without an engine only a rehearsal goes on, and says so loudly."""

import pytest

from bursar import engine
from study.errors import InfrastructureError
from study.studies import Source


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


def test_a_rehearsal_goes_on_and_the_user_is_told() -> None:
    assert engine.check(Source.REHEARSAL) == engine.NO_CONTAINERS


def test_a_real_model_s_answers_need_one() -> None:
    with pytest.raises(InfrastructureError, match="DOCKER_HOST"):
        engine.check(Source.MODEL)

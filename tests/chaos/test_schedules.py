"""A dozen seeded schedules: whole studies in which workers, coordinator, Redis, wires and clocks break.

`make chaos` runs hundreds of them. A seed that fails here can be run alone: see `tests/chaos/__main__.py`.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from .processes import Zygote
from .schedule import Outcome, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2000)]

SEEDS: Final = range(12)
AT_ONCE: Final = 4
"""They mostly wait."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Outcome]:
    """What came of each."""
    folders: dict[int, Path] = {seed: tmp_path_factory.mktemp(f"seed-{seed}") for seed in SEEDS}
    with Zygote() as zygote, ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda seed: run(seed, folder=folders[seed], zygote=zygote), SEEDS)
        return {outcome.seed: outcome for outcome in found}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_study_survives_what_breaks_and_its_books_agree(
    seed: int, outcomes: dict[int, Outcome]
) -> None:
    assert outcomes[seed].failures == []
    assert outcomes[seed].counts["stored"] > 0

"""A whole study while its engine hangs, dies, and stays away: search, a real worker, a daemon of its own.

Every answer of the endpoint is right. So a score of 0 could only come of the engine's fault.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coordinator import dispatch, drive
from coordinator.tuning import tune_study
from rehearsal import Latency, RehearsalServer, Surface, Synthetic
from study import connection, fleet, money
from study.connection import Client
from study.errors import InfrastructureError
from study.ledger import Ledger
from study.messages import Scored
from study.prices import Price
from study.results import Results
from study.spec import StudySpec
from study.studies import Source, Studies, StudyRecord
from tests.integration.sandbox.private_engine import PrivateEngine, private_engine

from .conftest import MODEL, USD

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("dockerd") is None,
        reason="an engine of its own takes root and dockerd",
    ),
]

WORKER = """
from sandbox import channel, engine
from workers import box
from workers.__main__ import main
engine.API_TIMEOUT_S = channel.GRACE_S = 5.0
box.TRY_AGAIN_S = 0.05
main(["--concurrency=4", "--hostname=faulty"], checks=lambda: [])
"""
"""A worker that is less patient than in earnest; what its host promises is tried elsewhere."""

WAIT_MAX_S = 600.0
"""For what a busy machine does sooner or later."""
BREAKS = '"sandbox_failed"'
"""What a worker logs of a box that broke, or could not be made."""


def wait_until(happened: Callable[[], object], *, or_over: threading.Event | None = None) -> None:
    """Waits for what others do; at most until something else is over."""
    deadline_s = time.monotonic() + WAIT_MAX_S
    over = or_over or threading.Event()
    while not happened() and not over.wait(0.05):
        assert time.monotonic() < deadline_s, "it did not happen in time"


class AlwaysRight(Surface):
    """Every answer is the solution, in the form that is asked for."""

    def right_probability(self, *_: Any, **__: Any) -> float:
        return 1.0

    def format_failure(self, **_: Any) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A study, a worker that evaluates it, and the engine on which it does."""

    client: Client
    redis_url: str
    record: StudyRecord
    server: RehearsalServer
    engine: PrivateEngine
    log: Path

    def tune(self) -> dict[str, Any]:
        return tune_study(
            self.record, client=self.client, broker_url=connection.broker_url(self.redis_url)
        )

    @contextmanager
    def while_it_runs(self, act: Callable[[threading.Event], None]) -> Iterator[None]:
        """Does something to the engine in the middle of the study, which is the context."""
        over = threading.Event()

        def run() -> None:
            wait_until(lambda: len(self.scored) >= 2, or_over=over)
            act(over)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def wait_until_boxes_break(self, over: threading.Event) -> None:
        wait_until(lambda: BREAKS in self.log.read_text(), or_over=over)

    @property
    def scored(self) -> list[Scored]:
        found = Results(self.client, self.record.id).read()
        return [result for _, result in found if isinstance(result, Scored)]

    def expect_no_harm(self) -> None:
        """No fault was taken for a verdict, and every call was paid once, and exactly."""
        assert all(result.passes and all(result.passes) for result in self.scored)
        draws = [
            (result.arm, result.example, draw)
            for result in self.scored
            for draw in range(result.first_draw, result.first_draw + result.draws)
        ]
        assert len(set(draws)) == len(draws)
        balance, books = Ledger(self.client).balance(self.record.account), self.server.books()
        assert balance.spent == books.billed_nanodollars
        assert (balance.reserved, balance.in_doubt) == (0, 0)
        # What was given up is paid, and may stay without a verdict.
        asked = {result.evaluation for _, result in Results(self.client, self.record.id).read()}
        assert books.billed_calls <= len(asked)


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with private_engine(Path(tempfile.mkdtemp(prefix="bursar-engine-"))) as started:
        yield started


@pytest.fixture
def bench(
    engine: PrivateEngine,
    client: Client,
    redis_url: str,
    problems: list[dict[str, Any]],
    tmp_path: Path,
    repository: Path,
) -> Iterator[Bench]:
    rows = [
        {**row, "id": row["task_id"], "solution": row["canonical_solution"]} for row in problems[:3]
    ]
    with RehearsalServer(
        problems=rows,
        models={MODEL: USD},
        source=Synthetic(AlwaysRight()),
        latency=Latency(fixed_s=0.2),
    ) as server:
        spec = StudySpec.parse(
            {
                "name": "faulty",
                "data": {"path": "in-memory"},
                "budget": {"optimization_usd": 0.006, "inference_usd": 0.01, "trials": 2},
                "space": {
                    "model": MODEL,
                    "prompt": ["{prompt}", "Complete this.\n{prompt}"],
                    "max_tokens": 800,
                    "n": 1,
                },
                "endpoint": {"base_url": server.base_url},
                "limits": {"concurrency": 4},
                "price": [{"model": MODEL, "input": USD[0], "output": USD[1]}],
            }
        )
        record = Studies(client).create(
            spec,
            pinned={MODEL: Price.from_usd(input=USD[0], output=USD[1])},
            source=Source.MODEL,
            base_url=server.base_url,
            scored_by_coordinator=False,
            examples=[(f"tune-{i}", row) for i, row in enumerate(rows)],
        )
        Ledger(client).open(record.account, limit=money.limit_from_usd(0.006))
        environment = {
            **os.environ,
            "BURSAR_REDIS_URL": redis_url,
            "DOCKER_HOST": engine.url,
            "OPENAI_API_KEY": "a-key-for-tests",
            "PYTHONPATH": str(repository),
            "TMPDIR": str(tmp_path),  # nothing is known of this engine there
        }
        log = tmp_path / "worker.log"
        with log.open("wb") as file:
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER], env=environment, stdout=file, stderr=file
            )
        try:
            wait_until(lambda: fleet.workers(client) or worker.poll() is not None)
            assert worker.poll() is None, log.read_text()
            yield Bench(
                client=client,
                redis_url=redis_url,
                record=record,
                server=server,
                engine=engine,
                log=log,
            )
        finally:
            worker.kill()
            worker.wait()


def test_a_study_goes_on_when_a_daemon_that_hung_wakes(bench: Bench) -> None:
    def hang(over: threading.Event) -> None:
        bench.engine.signal(signal.SIGSTOP)
        try:
            bench.wait_until_boxes_break(over)
        finally:
            bench.engine.signal(signal.SIGCONT)

    with bench.while_it_runs(hang):
        report = bench.tune()
    assert BREAKS in bench.log.read_text()
    assert report["status"] == "complete"
    bench.expect_no_harm()


def test_a_study_goes_on_with_the_successor_of_a_daemon_that_died(bench: Bench) -> None:
    def die(over: threading.Event) -> None:
        bench.engine.signal(signal.SIGKILL)
        try:
            bench.wait_until_boxes_break(over)
        finally:
            bench.engine.start()

    with bench.while_it_runs(die):
        report = bench.tune()
    assert BREAKS in bench.log.read_text()
    assert report["status"] == "complete"
    bench.expect_no_harm()


def test_a_study_whose_daemon_stays_away_stops_with_what_to_do_and_goes_on_from_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "BACK_OFF_S", (0.05,))
    monkeypatch.setattr(dispatch, "TRIES_MAX", 2)
    monkeypatch.setattr(drive, "GIVEN_UP_MAX", 2)
    try:
        with (
            pytest.raises(InfrastructureError) as stopped,
            bench.while_it_runs(lambda _: bench.engine.signal(signal.SIGKILL)),
        ):
            bench.tune()
    finally:
        bench.engine.start()
    words = str(stopped.value)
    assert "could not be made" in words
    assert "docker info" in words
    assert f"bursar resume {bench.record.id}" in words
    assert all(result.passes and all(result.passes) for result in bench.scored)
    report = bench.tune()
    assert report["status"] == "complete"
    bench.expect_no_harm()

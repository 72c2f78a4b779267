"""A whole study of a user's function, called by a worker: its good answers are counted.

Real but for the model: Redis, Celery, a worker process with its judges, the openai client.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.data import split
from coordinator.start import start_study
from coordinator.tuning import tune_study
from rehearsal import RehearsalServer
from rehearsal.chance import unit
from rehearsal.completion import Completion, cut
from rehearsal.problems import Asked
from rehearsal.request import CompletionRequest
from study import connection
from study.messages import Scored
from study.results import Results
from study.spec import StudySpec
from study.studies import Source, StudyStatus

MODEL = "guesser"
ROWS = [
    {
        "prompt": f"What is {k} plus {k}?",
        "answer": f"{2 * k}",
        "id": f"plus-{k}",
        "entry_point": f"plus-{k}",
    }
    for k in range(8)
]
MODULE = """
def judge(responses, answer, **example):
    return {"right": any(answer == response.strip() for response in responses)}
"""
RIGHT = 0.3


class Guesser:
    """A source: the answer three times of ten, and nonsense else."""

    label = "synthetic"

    def __init__(self) -> None:
        self._drawn = 0

    def draw(self, asked: Asked, request: CompletionRequest, *, seed: int) -> list[Completion]:
        """Draw the answers to one request: see rehearsal's `Source`."""
        answers = []
        for _ in range(request.best_of):
            self._drawn += 1
            right = unit(seed, asked.problem.id, self._drawn) < RIGHT
            text = asked.problem.solution if right else f"nonsense {self._drawn}"
            answers.append(cut(text, stop=request.stop, tokens_max=request.tokens_max))
        return answers


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    problems = [{**row, "solution": row["answer"]} for row in ROWS]
    with RehearsalServer(
        problems=problems, models={MODEL: (0.5, 2.0)}, source=Guesser()
    ) as running:
        yield running


@pytest.fixture
def spec(server: RehearsalServer) -> StudySpec:
    return StudySpec.parse(
        {
            "name": "guesses",
            "data": {"path": "in-memory", "tune_size": 8},
            "metric": {"name": "right", "evaluator": "guess_metrics:judge"},
            "budget": {"optimization_usd": 0.02, "inference_usd": 0.01, "trials": 1},
            "space": {
                "model": MODEL,
                "prompt": "{prompt}",
                "temperature": 0.7,
                "max_tokens": 100,
                "n": {"low": 1, "high": 64},
            },
            "endpoint": {"base_url": server.base_url},
            "limits": {"concurrency": 4},
            "price": [{"model": MODEL, "input": 0.5, "output": 2.0}],
        }
    )


def test_more_answers_are_recommended_than_were_ever_judged_together(
    spec: StudySpec,
    client: connection.Client,
    redis_url: str,
    start_workers: Callable[..., Any],
    tmp_path: Path,
) -> None:
    record = start_study(
        spec,
        split(ROWS, tune_size=8),
        client=client,
        source=Source.REHEARSAL,
        base_url=spec.endpoint.base_url,
    )
    (tmp_path / "guess_metrics.py").write_text(MODULE)
    start_workers(concurrency=4, PYTHONPATH=str(tmp_path))
    report = tune_study(record, client=client, broker_url=connection.broker_url(redis_url))
    assert report["status"] == StudyStatus.COMPLETE
    results = [result for _, result in Results(client, record.id).read()]
    assert all(isinstance(result, Scored) and result.passes for result in results)
    pool = max(max(result.curve or {}) for result in results if isinstance(result, Scored))
    assert pool < report["config"]["n"]
    assert report["best"]["value"] > 0.9

"""A whole study of a model that says much behind its code: what it is told to use is a smaller max_tokens.

Real but for the model: Redis, Celery, a worker process that runs the answers as programs, the openai client.
"""

import json
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
from study.studies import Source, Studies, StudyStatus
from workers import llm

MODEL = "talker"
TALK = " and so the function does what was asked of it" * 60
SEAL_KEY = "a seal for tests"


class Talker:
    """A source: the solution or nothing of use, as often as not, and then much talk."""

    label = "synthetic"

    def __init__(self) -> None:
        self._drawn = 0

    def draw(self, asked: Asked, request: CompletionRequest, *, seed: int) -> list[Completion]:
        """Draw the answers to one request: see rehearsal's `Source`."""
        answers = []
        for _ in range(request.best_of):
            self._drawn += 1
            right = unit(seed, asked.problem.id, self._drawn) < 0.5
            code = asked.problem.solution if right else "    return None\n"
            text = f"```python\n{code}```\n{TALK}"
            answers.append(cut(text, stop=request.stop, tokens_max=request.tokens_max))
        return answers


@pytest.fixture
def rows(repository: Path) -> list[dict[str, Any]]:
    lines = (repository / "examples" / "starter.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines][:8]


@pytest.fixture
def server(rows: list[dict[str, Any]]) -> Iterator[RehearsalServer]:
    problems = [
        {**row, "id": row["task_id"], "solution": row["canonical_solution"]} for row in rows
    ]
    with RehearsalServer(
        problems=problems,
        models={MODEL: (0.5, 2.0)},
        source=Talker(),
        api_key=llm.REHEARSAL_KEY,
        seal_key=SEAL_KEY.encode(),
    ) as running:
        yield running


@pytest.fixture
def spec(server: RehearsalServer) -> StudySpec:
    return StudySpec.parse(
        {
            "name": "shorter",
            "data": {"path": "in-memory", "tune_size": 8},
            "metric": {"name": "success", "evaluator": "python_tests"},
            "budget": {"optimization_usd": 0.5, "inference_usd": 0.003, "trials": 1},
            "space": {
                "model": MODEL,
                "prompt": "{prompt}",
                "temperature": 0.7,
                "max_tokens": {"low": 150, "high": 1000, "log": True},
                "n": {"low": 1, "high": 8},
            },
            "endpoint": {"base_url": server.base_url},
            "limits": {"concurrency": 4},
            "price": [{"model": MODEL, "input": 0.5, "output": 2.0}],
        }
    )


def test_a_study_recommends_a_smaller_max_tokens_than_it_bought(
    spec: StudySpec,
    rows: list[dict[str, Any]],
    client: connection.Client,
    redis_url: str,
    start_workers: Callable[..., Any],
) -> None:
    record = start_study(
        spec,
        split(rows, tune_size=8),
        client=client,
        source=Source.REHEARSAL,
        base_url=spec.endpoint.base_url,
    )
    start_workers(concurrency=4, BURSAR_SEAL_KEY=SEAL_KEY)
    report = tune_study(record, client=client, broker_url=connection.broker_url(redis_url))
    assert report["status"] == StudyStatus.COMPLETE
    assert report["trials"] == 1
    [trial] = Studies(client).trials(record.id)
    assert report["config"]["max_tokens"] < 300 < 566 <= trial.arm.max_tokens
    assert report["config"]["n"] > 3  # two in full are all that the inference budget affords
    assert 0.5 < report["best"]["value"] <= 1
    assert report["best"]["inference_cost_usd"] <= 0.003
    # All that was paid for was paid for in full, and looked at cut.
    results = [result for _, result in Results(client, record.id).read()]
    assert {result.arm for result in results} == {trial.arm.key}
    assert all(isinstance(result, Scored) and result.cuts for result in results)

"""Lesson 8: a whole study. The coordinator asks, a worker evaluates, and the books agree.

Everything is real but the model: Redis, Celery, a worker process, the openai client, and an endpoint
that speaks the API. The metric is a function of this test's own, so no sandbox is needed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coordinator.data import split
from coordinator.start import start_study
from coordinator.tuning import tune_study
from rehearsal import RehearsalServer, Synthetic
from study import connection
from study.ledger import Ledger
from study.spec import StudySpec
from study.studies import Source, Studies, StudyStatus

MODEL = "stand-in"
ROWS = [
    {
        "prompt": f"def plus_{k}(x):\n",
        "solution": f"    return x + {k}\n",
        "entry_point": f"plus_{k}",
    }
    for k in range(12)
]


def is_right(responses: list[str], **example: Any) -> dict[str, float]:
    """The user's metric: whether one of the answers holds the solution."""
    return {"right": float(any(example["solution"].strip() in text for text in responses))}


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    rows = [{"id": row["entry_point"], **row} for row in ROWS]
    with RehearsalServer(problems=rows, models={MODEL: (0.5, 2.0)}, source=Synthetic()) as running:
        yield running


@pytest.fixture
def spec(server: RehearsalServer) -> StudySpec:
    return StudySpec.parse(
        {
            "name": "lesson",
            "data": {"path": "in-memory", "tune_size": 8},
            "metric": {"name": "right", "evaluator": "somebody:is_right"},
            "budget": {"optimization_usd": 0.05, "inference_usd": 0.001, "trials": 4},
            "space": {
                "model": MODEL,
                "prompt": ["{prompt}", "Complete this function.\n{prompt}"],
                "max_tokens": 200,
                "n": {"low": 1, "high": 4},
            },
            "endpoint": {"base_url": server.base_url},
            "limits": {"concurrency": 4},
            "price": [{"model": MODEL, "input": 0.5, "output": 2.0}],
        }
    )


def test_a_study_ends_with_a_config_that_its_own_money_has_proven(
    spec: StudySpec,
    server: RehearsalServer,
    client: connection.Client,
    redis_url: str,
    start_workers: Callable[..., Any],
) -> None:
    # A study is checked and written down, with an account that holds its limit.
    examples = split(ROWS, tune_size=spec.data.tune_size)
    record = start_study(
        spec, examples, client=client, source=Source.REHEARSAL, scored_by_coordinator=True
    )
    assert Ledger(client).balance(record.account).limit == 50_000_000

    # A worker serves any study in its Redis; the coordinator drives this one to its end.
    start_workers(concurrency=4)
    report = tune_study(
        record,
        client=client,
        broker_url=connection.broker_url(redis_url),
        eval_func=is_right,
    )

    # What comes out is a config in the API's own words, with what is believed of it.
    assert report["status"] == StudyStatus.COMPLETE
    assert report["trials"] == 4
    assert report["config"]["model"] == MODEL
    assert set(report["config"]) >= {"model", "prompt", "max_tokens", "n"}
    assert report["best"]["metric"] == "right"
    assert 0 < report["best"]["value"] <= 1
    assert report["best"]["std_error"] > 0
    assert report["best"]["inference_cost_usd"] <= 0.001

    # The endpoint kept books of its own: the ledger says the same, to the nanodollar.
    balance = Ledger(client).balance(record.account)
    assert balance.spent == server.books().billed_nanodollars
    assert (balance.reserved, balance.in_doubt) == (0, 0)
    assert balance.spent <= 50_000_000

    # All of it lies in Redis: any coordinator could have gone on, anybody can look.
    assert [trial.number for trial in Studies(client).trials(record.id)] == [0, 1, 2, 3]
    assert Studies(client).report(record.id) == report

"""A small study on the stand-in, judged by a function of the test's own: no sandbox, no key."""

from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal import RehearsalServer, Synthetic

MODEL = "stand-in"
ROWS: list[dict[str, Any]] = [
    {
        "prompt": f"def plus_{k}(x):\n",
        "solution": f"    return x + {k}\n",
        "entry_point": f"plus_{k}",
    }
    for k in range(6)
]


def is_right(responses: list[str], **example: Any) -> dict[str, float]:
    """Whether one of the answers holds the solution."""
    return {"right": float(any(example["solution"].strip() in text for text in responses))}


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    """The stand-in."""
    rows = [{"id": row["entry_point"], **row} for row in ROWS]
    with RehearsalServer(problems=rows, models={MODEL: (0.5, 2.0)}, source=Synthetic()) as running:
        yield running


def small_study(server: RehearsalServer, **tables: Any) -> dict[str, Any]:
    """The tables of a study file."""
    return {
        "name": "doors",
        "data": {"path": "rows.jsonl", "tune_size": 4},
        "metric": {"name": "right", "evaluator": "somebody:is_right"},
        "budget": {"optimization_usd": 0.02, "inference_usd": 0.001, "trials": 2},
        "space": {"model": MODEL, "prompt": "{prompt}", "max_tokens": 200, "n": [1, 2]},
        "endpoint": {"base_url": server.base_url, "timeout_s": 5.0},
        "limits": {"concurrency": 4},
        "price": [{"model": MODEL, "input": 0.5, "output": 2.0}],
        **tables,
    }

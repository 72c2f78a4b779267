"""What is found wrong before a cent is spent."""

from typing import Any

import pytest

from coordinator.data import split
from coordinator.start import start_study
from study.connection import Client
from study.errors import BudgetTooSmall, DataError, SpecError
from study.ledger import Ledger
from study.spec import StudySpec
from study.studies import Source, Studies

ROW = {"prompt": "def f():\n", "test": "def check(c): ...", "entry_point": "f"}


def study_spec(**changes: Any) -> StudySpec:
    table: dict[str, Any] = {
        "name": "s",
        "data": {"path": "d.jsonl", "tune_size": 2},
        "budget": {"optimization_usd": 1.0, "inference_usd": 0.1},
        "space": {"model": ["gpt-5.4-nano"], "max_tokens": 100},
    }
    return StudySpec.parse({**table, **changes})


def start(client: Client, spec: StudySpec, rows: list[dict[str, Any]]) -> Any:
    examples = split(rows, tune_size=spec.data.tune_size)
    return start_study(spec, examples, client=client, source=Source.MODEL)


def test_a_sound_study_is_written_down_with_an_account_of_its_own(client: Client) -> None:
    record = start(client, study_spec(), [ROW, ROW, ROW])
    assert Studies(client).load(record.id) == record
    assert Ledger(client).balance(record.account).limit == 1_000_000_000
    assert Studies(client).examples(record.id) == {"tune-0": ROW, "tune-1": ROW}


@pytest.mark.parametrize(
    ("changes", "row", "error", "said"),
    [
        ({"space": {"model": "nobody-knows-me"}}, ROW, SpecError, "nobody-knows-me"),
        ({"space": {"prompt": "{question}"}}, ROW, DataError, "'question'"),
        ({}, {**ROW, "prompt": None}, DataError, "is null"),
        ({}, {"prompt": "p", "entry_point": "f"}, DataError, "test"),
        (
            {"budget": {"optimization_usd": 1e-6, "inference_usd": 1.0}},
            ROW,
            BudgetTooSmall,
            "budget.optimization_usd",
        ),
        (
            {"budget": {"optimization_usd": 1.0, "inference_usd": 1e-8}},
            ROW,
            BudgetTooSmall,
            "budget.inference_usd = 1e-08",
        ),
        (
            {"data": {"path": "d.jsonl", "tune_size": 5000}},
            ROW,
            DataError,
            "data.tune_size = 5000: the data has 2 rows only",
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    client: Client,
    changes: dict[str, Any],
    row: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    with pytest.raises(error) as caught:
        start(client, study_spec(**changes), [ROW, row])
    assert said in str(caught.value)
    assert Studies(client).ids() == []


@pytest.mark.parametrize(("inference_usd", "enough"), [(3e-6, True), (2.999e-6, False)])
def test_a_request_budget_is_refused_only_below_what_any_request_costs(
    client: Client, inference_usd: float, enough: bool
) -> None:
    # Dollars per million tokens: one token read and two written are 3 millionths of a dollar.
    spec = study_spec(
        budget={"optimization_usd": 1.0, "inference_usd": inference_usd},
        space={"model": ["cheap", "dear"], "max_tokens": 100, "n": [2, 5]},
        price=[
            {"model": "cheap", "input": 1.0, "output": 1.0},
            {"model": "dear", "input": 2.0, "output": 2.0},
        ],
    )
    if enough:
        start(client, spec, [ROW, ROW])
    else:
        with pytest.raises(BudgetTooSmall, match=r"cheap, n = 2.*\$0\.000003 at least"):
            start(client, spec, [ROW, ROW])

"""Whoever can write to the study's stream can put anything there: the coordinator passes it over."""

import json
from collections.abc import Callable
from typing import Any

from coordinator.data import split
from coordinator.start import start_study
from coordinator.tuning import tune_study
from rehearsal import RehearsalServer
from study import connection, keys
from study.ledger import Ledger
from study.spec import StudySpec
from study.studies import Source, StudyStatus

from .conftest import ROWS, is_right, small_study

PAID = {"calls": 1, "prompt_tokens": 1, "completion_tokens": 1, "cost_nanodollars": 1}


def test_a_study_ends_as_it_should_whatever_lies_in_its_stream(
    server: RehearsalServer,
    client: connection.Client,
    redis_url: str,
    start_workers: Callable[..., Any],
) -> None:
    spec = StudySpec.parse(small_study(server))
    record = start_study(
        spec,
        split(ROWS, tune_size=4),
        client=client,
        source=Source.REHEARSAL,
        scored_by_coordinator=True,
    )
    scored = {"kind": "scored", "trial": 0, "arm": "0" * 16, "example": "tune-0", "first_draw": 0}
    scored |= {"draws": 1, "passes": [True], "paid": {**PAID, "latency_s": 0.1}}
    forged = [
        {},
        scored,
        {**scored, "trial": 10**9},
        {**scored, "example": "../tune-0"},
        {**scored, "draws": 999},
        {**scored, "kind": "os.system"},
        {"kind": "fatal", "trial": 7, "arm": "x", "example": "y", "first_draw": 0, "draws": 1,
         "cause": "credentials", "reason": "a lie"},
    ]  # fmt: skip
    for result in forged:
        client.xadd(keys.results(record.id), {"result": json.dumps(result)})
    start_workers(concurrency=4)
    report = tune_study(
        record, client=client, broker_url=connection.broker_url(redis_url), eval_func=is_right
    )
    assert report["status"] == StudyStatus.COMPLETE
    assert report["trials"] == 2
    balance = Ledger(client).balance(record.account)
    assert balance.spent == server.books().billed_nanodollars
    assert (balance.reserved, balance.in_doubt) == (0, 0)

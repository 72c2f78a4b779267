"""The last dollars are used: at a study's end there is less left than one more call's worst case."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from coordinator.bounds import Bounds
from coordinator.drive import _available
from coordinator.loop import run_study
from coordinator.plan import Work
from coordinator.search import REST_TOO_SMALL, SETTLED, SPACE_EXHAUSTED
from coordinator.tuning import tune_study
from rehearsal import RehearsalServer, Synthetic
from study import connection, money
from study.config import Arm
from study.errors import SpecError
from study.ledger import Balance, Ledger
from study.messages import Evaluation, Scored
from study.prices import Price
from study.results import Results
from study.spec import StudySpec
from study.studies import Source, Studies, StudyRecord, StudyStatus
from study.trials import Estimate, Trial

MODEL = "stand-in"
ROWS = [
    {
        "id": f"plus_{k}",
        "prompt": f"def plus_{k}(x):\n",
        "solution": f"    return x + {k}\n",
        "entry_point": f"plus_{k}",
    }
    for k in range(4)
]
ARM = Arm(model=MODEL, template=0, params={"max_tokens": 100, "temperature": 0.5})


class Greedy:
    """A plan that buys one more answer for as long as its worst case fits."""

    def __init__(self, bounds: Bounds, *, at_ten: Callable[[], None]) -> None:
        self.bounds, self.scored, self.refused, self._at_ten = bounds, 0, 0, at_ten
        self._trial = Trial(number=0, arm=ARM)
        self._numbers, self._is_saved, self._out = count(), False, 0
        self._back: list[int] = []
        self._is_over = False

    @property
    def trials(self) -> Sequence[Trial]:
        return [self._trial]

    @property
    def finished(self) -> str | None:
        return "the money is used" if self._is_over and not self._out else None

    def next(self, *, available: int) -> Work | None:
        number = self._back.pop() if self._back else next(self._numbers)
        example, draw = f"tune-{number % len(ROWS)}", number // len(ROWS)
        if self.bounds.worst_case(ARM, example, 1) > available:
            self._back.append(number)
            self._is_over = not self._out
            return None
        self._out += 1
        return Work(trial=0, arm=ARM, example=example, first_draw=draw, draws=1)

    def record(self, result: Scored) -> None:
        self._out -= 1
        self.scored += 1
        if self.scored == 10:
            self._at_ten()

    def unaffordable(self, result: Evaluation) -> None:
        self._out -= 1
        self.refused += 1
        self._back.append(result.first_draw * len(ROWS) + int(result.example.partition("-")[2]))

    def changed(self) -> list[Trial]:
        changed = [] if self._is_saved else [self._trial]
        self._is_saved = True
        return changed

    def fail(self, trial: int, reason: str) -> None:
        raise AssertionError(reason)

    def lost(self, result: Evaluation) -> None:
        raise AssertionError(result)

    def recommend(self) -> Estimate | None:
        return None

    def restore(self, trials: Sequence[Trial]) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing runs."""


LIMIT = money.limit_from_usd(0.005)


def is_right(responses: Sequence[str], **_: Any) -> dict[str, float]:
    """Of any answers a third, whichever: what more answers tell never ends."""
    return {"right": float(any(zlib.crc32(text.encode()) % 3 == 0 for text in responses))}


@contextmanager
def small_study(client: connection.Client) -> Iterator[tuple[StudyRecord, RehearsalServer]]:
    """A study of one model whose account holds LIMIT, and the endpoint."""
    with RehearsalServer(problems=ROWS, models={MODEL: (0.5, 2.0)}, source=Synthetic()) as server:
        spec = StudySpec.parse(
            {
                "name": "last",
                "data": {"path": "in-memory"},
                "metric": {"name": "right", "evaluator": "somebody:is_right"},
                "budget": {"optimization_usd": 0.005, "inference_usd": 0.001},
                "space": {
                    "model": MODEL,
                    "prompt": ["{prompt}", "Complete this.\n{prompt}"],
                    "max_tokens": 100,
                    "temperature": [0.5, 1.0],
                    "n": {"low": 1, "high": 4},
                },
                "endpoint": {"base_url": server.base_url},
                "limits": {"concurrency": 8},
                "price": [{"model": MODEL, "input": 0.5, "output": 2.0}],
            }
        )
        record = Studies(client).create(
            spec,
            pinned={MODEL: Price.from_usd(input=0.5, output=2.0)},
            source=Source.REHEARSAL,
            base_url=server.base_url,
            scored_by_coordinator=True,
            examples=[(f"tune-{i}", row) for i, row in enumerate(ROWS)],
        )
        Ledger(client).open(record.account, limit=LIMIT)
        yield record, server


@pytest.mark.parametrize("then", [LIMIT, 2 * LIMIT, 1], ids=["stays", "is raised", "is lowered"])
def test_a_study_that_could_afford_another_call_makes_it(
    then: int, client: connection.Client, redis_url: str, start_workers: Callable[..., Any]
) -> None:
    """Whatever becomes of the limit while it runs: it uses what it may, and not a call more."""
    with small_study(client) as (record, server):
        ledger = Ledger(client)
        start_workers(concurrency=8)
        plan = Greedy(
            Bounds.of(record, client), at_ten=lambda: ledger.set_limit(record.account, then)
        )
        run_study(
            record,
            plan,
            client=client,
            broker_url=connection.broker_url(redis_url),
            eval_func=lambda responses, **_: {"right": float(len(responses))},
            bounds=plan.bounds,
        )
        balance = ledger.balance(record.account)
        assert balance.spent == server.books().billed_nanodollars
    assert balance.reserved == 0
    if then == 1:
        assert 10 <= plan.scored <= 10 + 8  # what was out; nothing is taken back
        return
    worst = [plan.bounds.worst_case(ARM, f"tune-{i}", 1) for i in range(len(ROWS))]
    assert 0 <= then - balance.spent < max(worst)
    assert plan.refused <= 2  # what was promised is there: workers are not sent in vain


def test_the_search_leaves_less_than_one_more_call_or_says_why(
    client: connection.Client, redis_url: str, start_workers: Callable[..., Any]
) -> None:
    """The whole way: skopt's arms, workers' reservations, the endpoint's bills."""
    with small_study(client) as (record, server):
        start_workers(concurrency=8)
        report = tune_study(
            record,
            client=client,
            broker_url=connection.broker_url(redis_url),
            eval_func=is_right,
        )
        balance = Ledger(client).balance(record.account)
        assert balance.spent == server.books().billed_nanodollars <= LIMIT
    assert balance.reserved == 0
    bounds = Bounds.of(record, client)
    for _, result in Results(client, record.id).read():
        assert isinstance(result, Scored)
        bounds.worst_case(Studies(client).trial(record.id, result.trial).arm, result.example, 1)
        bounds.learn(result)
    arms = [trial.arm for trial in Studies(client).trials(record.id)]
    cheapest = min(bounds.worst_case(arm, f"tune-{i}", 1) for arm in arms for i in range(len(ROWS)))
    left = LIMIT - balance.spent
    assert left < cheapest or report["reason"] in (SETTLED, REST_TOO_SMALL, SPACE_EXHAUSTED)


def test_no_more_is_bought_for_a_function_that_never_gives_a_score(
    client: connection.Client, redis_url: str, start_workers: Callable[..., Any]
) -> None:
    def broken(responses: Sequence[str], **_: Any) -> dict[str, float]:
        raise KeyError("expected")

    with small_study(client) as (record, _):
        Ledger(client).set_limit(record.account, 100 * LIMIT)
        start_workers(concurrency=8)
        plan = Greedy(Bounds.of(record, client), at_ten=lambda: None)
        with pytest.raises(
            SpecError, match=r"gave none of the first 20 scores.*KeyError: 'expected'"
        ):
            run_study(
                record,
                plan,
                client=client,
                broker_url=connection.broker_url(redis_url),
                eval_func=broken,
                bounds=plan.bounds,
            )
        assert Ledger(client).balance(record.account).spent < 10 * LIMIT
        assert Studies(client).status(record.id) is StudyStatus.FAILED


@pytest.mark.parametrize(
    ("limit", "spent", "reserved", "promised", "available"),
    [
        # limit, spent, reserved by workers, promised by us, what else can be promised
        (100, 0, 0, 0, 100),
        (100, 10, 0, 0, 90),
        (100, 0, 0, 30, 70),  # sent, and not yet reserved
        (100, 0, 30, 30, 70),  # sent, and reserved: counted once
        (100, 0, 10, 30, 70),  # some of it is
        (100, 0, 50, 30, 50),  # another coordinator's under the same account
        (100, 60, 20, 40, 0),
        (100, 90, 20, 20, 0),  # lowered while it runs
    ],
)
def test_what_can_be_promised_beside_what_is_out(
    limit: int, spent: int, reserved: int, promised: int, available: int
) -> None:
    balance = Balance(limit=limit, spent=spent, reserved=reserved, in_doubt=0, overrun=0)
    assert max(0, _available(balance, promised)) == available

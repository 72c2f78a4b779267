"""Drive: what one coordinator keeps of a study, and when it writes it down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from coordinator.bounds import Bounds
from coordinator.drive import REFUSALS_MAX, TICK_S, Drive
from coordinator.held_out import HeldOut
from study import connection, keys
from study.config import Arm, Config
from study.connection import Client
from study.ledger import Ledger
from study.messages import EvaluateExample, Paid, Result, Scored, Unaffordable
from study.metrics import success
from study.prices import Price
from study.results import Results
from study.spec import StudySpec
from study.studies import Source, Studies

ARM = Arm(model="m", template=0, params={"max_tokens": 10})
PRICE = Price.from_usd(input=1.0, output=10.0)
EXAMPLES = 12


class Counting(Studies):
    """Studies that count how often trials are written."""

    writes = 0

    def save_trials(self, study_id: str, trials: Any) -> None:
        self.writes += bool(trials)
        super().save_trials(study_id, trials)


class Desk:
    """A drive that evaluates one config, with a clock of its own and no workers."""

    def __init__(self, client: Client) -> None:
        self.client, self.now_s = client, 100.0
        spec = StudySpec.parse(
            {
                "name": "desk",
                "data": {"path": "p"},
                "budget": {"optimization_usd": 1.0, "inference_usd": 0.1},
                "space": {"model": ["m"]},
                "limits": {"concurrency": 4},
            }
        )
        names = [f"test-{i}" for i in range(EXAMPLES)]
        self.studies = Counting(client)
        self.record = self.studies.create(
            spec,
            pinned={"m": PRICE},
            source=Source.REHEARSAL,
            base_url=None,
            scored_by_coordinator=False,
            examples=[(name, {"prompt": "hi"}) for name in names],
        )
        Ledger(client).open(self.record.account, limit=10**12)
        bounds = Bounds.of(self.record, client)
        self.plan = HeldOut(
            Config(arm=ARM, n=1),
            names,
            count_metric=success,
            price=PRICE,
            bound=bounds.worst_case,
        )
        self.bounds = bounds

    @contextmanager
    def drive(self, redis_url: str) -> Iterator[Drive]:
        with Drive.open(
            self.record,
            self.plan,
            client=self.client,
            broker_url=connection.broker_url(redis_url),
            eval_func=None,
            bounds=self.bounds,
            on_progress=lambda _: None,
            stop=threading.Event(),
            clock=lambda: self.now_s,
        ) as drive:
            drive._studies = self.studies
            yield drive

    @property
    def sent(self) -> list[EvaluateExample]:
        texts = self.client.hvals(keys.sent(self.record.id))
        return [EvaluateExample.model_validate_json(text) for text in texts]

    def answer(self, message: EvaluateExample, *, refused: bool = False) -> None:
        """What a worker says of an evaluation."""
        whose = message.model_dump(exclude={"study"})
        paid = Paid(calls=1, prompt_tokens=1, completion_tokens=1, cost_nanodollars=1, latency_s=1)
        result: Result = Scored(**whose, passes=[True], paid=paid)
        if refused:
            result = Unaffordable(**whose, worst_case_nanodollars=1)
        Results(self.client, self.record.id).record(result)


@pytest.fixture
def desk(client: Client) -> Desk:
    return Desk(client)


def test_a_new_trial_is_written_before_its_messages_and_how_it_stands_about_once_a_second(
    desk: Desk, redis_url: str
) -> None:
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        assert desk.studies.trial(desk.record.id, 0).arm == ARM
        assert desk.studies.writes == 1
        while not drive.finished:
            for message in desk.sent:
                desk.answer(message)
            drive.collect_and_tell()
            drive.ask_and_dispatch()
            drive.tick()
        assert desk.studies.writes == 1
        desk.now_s += TICK_S
        drive.tick()
        assert desk.studies.writes == 2
        estimate = desk.studies.trial(desk.record.id, 0).estimate
        assert estimate is not None
        assert estimate.examples == EXAMPLES


def test_how_trials_stand_is_written_when_the_study_ends(desk: Desk, redis_url: str) -> None:
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        desk.plan._trial = replace(desk.plan._trial, reason="because")
        desk.plan._changed = True
    assert desk.studies.trial(desk.record.id, 0).reason == "because"


def test_refusals_are_forgotten_once_an_evaluation_is_made_or_given_up(
    desk: Desk, redis_url: str
) -> None:
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        first, *_ = desk.sent
        desk.answer(first, refused=True)
        drive.collect_and_tell()
        assert dict(drive._refusals) == {first.evaluation: 1}
        while not drive.finished:
            for message in desk.sent:
                desk.answer(message)
            drive.collect_and_tell()
            drive.ask_and_dispatch()
        assert not drive._refusals
        assert not desk.plan.unscored


def test_what_is_refused_again_and_again_is_given_up(desk: Desk, redis_url: str) -> None:
    with desk.drive(redis_url) as drive:
        drive.take_up()
        while not drive.finished:
            drive.ask_and_dispatch()
            for message in desk.sent:
                desk.answer(message, refused=True)
            drive.collect_and_tell()
        assert len(desk.plan.unscored) == EXAMPLES
        assert not drive._refusals
    assert REFUSALS_MAX > 1

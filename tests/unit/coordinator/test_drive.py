"""Drive: what one coordinator keeps of a study, and when it writes it down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from coordinator.bounds import Bounds
from coordinator.drive import (
    GIVEN_UP_MAX,
    NEVER_WORKED_MAX,
    RATE_LIMITED_S_MAX,
    REFUSALS_MAX,
    SILENCE_S_MAX,
    TICK_S,
    Drive,
)
from coordinator.held_out import HeldOut
from study import connection, fleet, keys
from study.config import Arm, Config
from study.connection import Client
from study.errors import InfrastructureError
from study.ledger import Ledger
from study.messages import EvaluateExample, Paid, Result, Scored, Unaffordable, Unevaluated
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

    def fail(self, reason: str, *, retry_after_s: float | None = None) -> None:
        """What workers say where none of the evaluations that are out could be made."""
        for message in self.sent:
            whose = message.model_dump(exclude={"study"})
            failed = Unevaluated(**whose, reason=reason, retry_after_s=retry_after_s)
            Results(self.client, self.record.id).record(failed)

    def fail_to_the_end(self, drive: Drive, reason: str) -> None:
        """None of the evaluations that follow can be made."""
        while not drive.finished:
            drive.ask_and_dispatch()
            self.fail(reason)
            drive.collect_and_tell()


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


# When a study gives up: each rule, and what it says.


def test_a_study_in_which_nothing_ever_worked_stops_and_says_what_failed(
    desk: Desk, redis_url: str
) -> None:
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        with pytest.raises(InfrastructureError) as stopped:
            desk.fail_to_the_end(drive, "unavailable: nobody listens there")
        assert drive.tally.failures == NEVER_WORKED_MAX
    assert str(stopped.value) == (
        f"{NEVER_WORKED_MAX} evaluations failed and none has worked yet; the last one: unavailable: nobody "
        f"listens there. Once that is mended: bursar resume {desk.record.id}"
    )


def test_a_study_that_worked_once_stops_when_one_evaluation_after_the_other_is_given_up(
    desk: Desk, redis_url: str
) -> None:
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        desk.answer(desk.sent[0])
        drive.collect_and_tell()
        with pytest.raises(InfrastructureError) as stopped:
            desk.fail_to_the_end(drive, "unavailable: the engine has gone")
        assert drive.tally.failures > NEVER_WORKED_MAX  # which is for a start only
        assert len(desk.plan.unscored) == GIVEN_UP_MAX
    assert str(stopped.value) == (
        f"{GIVEN_UP_MAX} evaluations in a row could not be made; the last one: unavailable: the engine has "
        f"gone. `bursar doctor` looks for the cause; then: bursar resume {desk.record.id}"
    )


def test_a_score_in_between_begins_the_count_of_those_given_up_anew(
    desk: Desk, redis_url: str
) -> None:
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        first, *_ = desk.sent
        desk.answer(first)
        while not drive.tally.given_up_in_a_row:
            drive.ask_and_dispatch()
            desk.fail("unavailable: the engine has gone")
            drive.collect_and_tell()
        drive.ask_and_dispatch()
        desk.answer(desk.sent[0])
        drive.collect_and_tell()
        assert drive.tally.given_up > 0
        assert drive.tally.given_up_in_a_row == 0


def test_a_study_waits_for_the_rate_limit_but_not_for_ever_and_blames_nobody_in_particular(
    desk: Desk, redis_url: str
) -> None:
    reason = "rate limited: its turn comes in 61.2 s"
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        for _ in range(NEVER_WORKED_MAX):
            desk.fail(reason, retry_after_s=61.2)
            drive.collect_and_tell()
        assert drive.tally.failures == drive.tally.given_up == 0
        desk.now_s += RATE_LIMITED_S_MAX + 1
        desk.fail(reason, retry_after_s=61.2)
        with pytest.raises(InfrastructureError) as stopped:
            drive.collect_and_tell()
    said = str(stopped.value)
    assert said.startswith(
        "no score for 30 minutes, for want of a turn under the rate limit; the last "
    )
    assert reason in said
    assert "the provider's, or that of [limits] in the study file" in said
    assert said.endswith(f"Once it lets calls pass: bursar resume {desk.record.id}")


def test_a_study_without_workers_waits_for_one_and_then_stops(desk: Desk, redis_url: str) -> None:
    worker = fleet.Worker(name="w", host="h", pid=1, slots=4, engine=True)
    with desk.drive(redis_url) as drive:
        drive.take_up()
        drive.ask_and_dispatch()
        fleet.beat(desk.client, worker)
        desk.client.persist(keys.worker("w"))  # it lives, however slow this machine is
        desk.now_s += 2 * SILENCE_S_MAX  # a long evaluation: no result, and a worker that is at it
        drive.tick()
        fleet.leave(desk.client, "w")
        desk.now_s += SILENCE_S_MAX / 2
        drive.tick()  # it may be starting again
        desk.now_s += SILENCE_S_MAX
        with pytest.raises(InfrastructureError) as stopped:
            drive.tick()
    assert str(stopped.value) == (
        f"no worker has been there for {1.5 * SILENCE_S_MAX:.0f} s. Start some (`python -m workers`), "
        f"then: bursar resume {desk.record.id}"
    )

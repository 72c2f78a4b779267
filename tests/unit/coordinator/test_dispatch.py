"""Dispatcher: what is lost is sent again within a bound, and what is not lost is not."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from coordinator.dispatch import HELD_S_MAX, TRIES_MAX, Dispatcher
from study import broker, connection, fleet, keys
from study.config import Arm
from study.connection import Client
from study.fleet import Worker
from study.messages import QUEUE, EvaluateExample, Unevaluated
from study.prices import Price
from study.spec import StudySpec
from study.studies import Source, Studies

TICK_S: Final = 1.0


class Office:
    """A coordinator's dispatcher on a real Redis, with a clock of its own and workers that are told of."""

    def __init__(self, client: Client, redis_url: str) -> None:
        self.client, self.now_s = client, 100.0
        url = connection.broker_url(redis_url)
        self.celery, self.broker = broker.app(url), connection.connect(url)
        spec = StudySpec.parse(
            {
                "name": "office",
                "data": {"path": "p"},
                "budget": {"optimization_usd": 1.0, "inference_usd": 0.1},
                "space": {"model": ["m"]},
            }
        )
        self.record = Studies(client).create(
            spec,
            pinned={"m": Price.from_usd(input=1, output=1)},
            source=Source.REHEARSAL,
            base_url=None,
            scored_by_coordinator=False,
            examples=[("tune-0", {})],
        )
        self.dispatcher = Dispatcher(
            self.celery,
            broker=self.broker,
            client=client,
            record=self.record,
            clock=lambda: self.now_s,
        )
        self.beats = 0

    def send(self, first_draw: int = 0) -> str:
        [evaluation] = self.send_all(first_draw)
        return evaluation

    def send_all(self, *first_draws: int) -> list[str]:
        arm = Arm(model="m", template=0, params={})
        messages = [
            EvaluateExample(
                study=self.record.id,
                trial=0,
                arm=arm.key,
                example="tune-0",
                first_draw=first_draw,
                draws=1,
            )
            for first_draw in first_draws
        ]
        self.dispatcher.send([(message, 1) for message in messages])
        return [message.evaluation for message in messages]

    def beat(self, *evaluations: str) -> None:
        """A worker says that it is at these."""
        self.beats += 1
        names = tuple(fleet.doing(self.record.id, name) for name in evaluations)
        worker = Worker(
            name="w",
            host="h",
            pid=1,
            slots=4,
            engine=False,
            life="l",
            beat=self.beats,
            at_hand=names,
        )
        fleet.beat(self.client, worker)

    def pass_seconds(self, seconds: float, *at_hand: str, beating: bool = False) -> int:
        """Let time pass, tick by tick; how many evaluations were lost in it."""
        lost = 0
        for _ in range(int(seconds / TICK_S)):
            self.now_s += TICK_S
            if beating:
                self.beat(*at_hand)
            lost += self.dispatcher.send_due()
        return lost

    @property
    def queued(self) -> int:
        return int(self.broker.llen(QUEUE))

    def close(self) -> None:
        self.celery.close()
        self.broker.close()


@pytest.fixture
def office(client: Client, redis_url: str) -> Iterator[Office]:
    made = Office(client, redis_url)
    yield made
    made.close()


def test_a_message_that_waits_in_the_queue_is_not_lost(office: Office) -> None:
    evaluation = office.send()
    assert broker.waiting(office.broker, office.record.id) == {evaluation}
    assert broker.waiting(office.broker, "another study") == set()
    assert office.pass_seconds(600) == 0
    assert office.queued == 1


def test_forged_messages_in_the_queue_are_looked_through(office: Office) -> None:
    evaluation = office.send()
    for forged in (b"", b"7", b"\xff\xfe", b"[" * 10_000, b'{"body": "%"}', b'{"body": 1}'):
        office.broker.execute_command("LPUSH", QUEUE, forged)
    assert broker.waiting(office.broker, office.record.id) == {evaluation}


def test_what_a_living_worker_is_at_is_not_lost(office: Office) -> None:
    evaluation = office.send()
    office.broker.flushdb()  # the worker took it
    assert office.pass_seconds(600, evaluation, beating=True) == 0
    assert office.queued == 0


def test_a_message_lost_with_the_broker_is_sent_again_within_the_bound(office: Office) -> None:
    first, second = office.send(), office.send(first_draw=1)
    office.broker.flushdb()
    assert office.pass_seconds(fleet.SILENT_S, first, beating=True) == 0
    assert office.pass_seconds(2, first, beating=True) == 1
    assert broker.waiting(office.broker, office.record.id) == {second}


def test_what_a_dead_worker_was_at_is_sent_again_within_the_bound(office: Office) -> None:
    evaluation = office.send()
    office.broker.flushdb()
    assert office.pass_seconds(60, evaluation, beating=True) == 0
    # Its last heartbeat may stand in Redis for as long as it likes: it does not go on.
    assert office.pass_seconds(fleet.SILENT_S) == 0
    assert office.pass_seconds(2) == 1
    assert office.queued == 1


def test_another_studys_backlog_does_not_hide_what_is_lost(office: Office) -> None:
    office.send()
    office.broker.flushdb()
    office.broker.rpush(QUEUE, "not even JSON", '{"body": "e30="}')
    assert office.pass_seconds(fleet.SILENT_S + 2) == 1


def test_what_the_coordinator_could_not_hear_is_no_silence_of_the_workers(office: Office) -> None:
    evaluation = office.send()
    office.broker.flushdb()
    assert office.pass_seconds(10, evaluation, beating=True) == 0
    office.now_s += 300  # Redis was away, or we were
    assert office.dispatcher.send_due() == 0
    assert office.pass_seconds(fleet.SILENT_S - 2) == 0  # the worker has time to say that it lives
    office.beat(evaluation)
    assert office.pass_seconds(2) == 0


def test_what_a_living_worker_never_ends_is_sent_to_another_in_the_end(office: Office) -> None:
    evaluation = office.send()
    office.broker.flushdb()
    passed = 0.0
    while not office.queued:
        assert passed <= HELD_S_MAX + 60
        office.pass_seconds(60, evaluation, beating=True)
        passed += 60
    assert passed >= HELD_S_MAX


def unevaluated(evaluation: str, *, retry_after_s: float | None) -> Unevaluated:
    arm, example, span = evaluation.split("/")
    first_draw, draws = map(int, span.split("+"))
    return Unevaluated(
        trial=0,
        arm=arm,
        example=example,
        first_draw=first_draw,
        draws=draws,
        reason="rate limited",
        retry_after_s=retry_after_s,
    )


def test_a_rate_limit_is_no_failure_however_long_it_lasts(office: Office) -> None:
    """A 429 spell of minutes gives no evaluation up: each is sent again when its turn may come."""
    evaluation = office.send()
    for _ in range(10 * TRIES_MAX):
        office.broker.flushdb()
        assert office.dispatcher.try_later(unevaluated(evaluation, retry_after_s=30.0))
        office.pass_seconds(28)
        assert office.queued == 0
        office.pass_seconds(3)
        assert office.queued == 1
    for _ in range(TRIES_MAX - 1):
        assert office.dispatcher.try_later(unevaluated(evaluation, retry_after_s=None))
    assert not office.dispatcher.try_later(unevaluated(evaluation, retry_after_s=None))


def test_a_surplus_waits_in_the_queue_where_the_fleet_has_no_more_slots_than_calls_may_be_in_flight(
    office: Office,
) -> None:
    concurrency = office.record.spec.limits.concurrency
    assert office.dispatcher.free == concurrency
    office.send()
    office.beat()  # a worker with 4 slots
    office.dispatcher.send_due()
    assert office.dispatcher.free == concurrency + concurrency // 4 - 1


def test_a_block_of_results_is_struck_off_in_one_round_trip(office: Office) -> None:
    evaluations = [office.send(first_draw) for first_draw in range(5)]
    before = office.client.info("commandstats").get("cmdstat_hdel", {"calls": 0})["calls"]
    for evaluation in evaluations[:4]:
        office.dispatcher.done(evaluation)
    assert len(office.dispatcher) == 1
    office.dispatcher.flush()
    office.dispatcher.flush()  # nothing is left to do
    assert office.client.info("commandstats")["cmdstat_hdel"]["calls"] == before + 1
    assert office.client.hkeys(keys.sent(office.record.id)) == evaluations[4:]


def test_what_was_struck_off_and_is_asked_for_again_stays_written_down(office: Office) -> None:
    evaluation = office.send()
    office.dispatcher.done(evaluation)  # the ledger refused it
    assert office.send() == evaluation
    office.dispatcher.flush()
    assert office.client.hkeys(keys.sent(office.record.id)) == [evaluation]


def test_a_block_of_messages_is_sent_in_one_round_trip(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.send(first_draw=100)
    pipelines = []
    execute = redis.client.Pipeline.execute

    def counted(self: redis.client.Pipeline, *args: bool) -> list[Any]:
        pipelines.append([command for (command, *_), _ in self.command_stack])
        return execute(self, *args)

    monkeypatch.setattr(redis.client.Pipeline, "execute", counted)
    office.send_all(*range(5))
    assert pipelines == [["LPUSH"] * 5]
    assert office.queued == 6


def test_a_connection_that_was_cut_is_opened_again_to_send(office: Office) -> None:
    first = office.send()
    office.broker.client_kill_filter(_type="normal", skipme=True)
    second, third = office.send_all(1, 2)
    assert {second, third} <= (broker.waiting(office.broker, office.record.id) or set())
    assert first in (broker.waiting(office.broker, office.record.id) or set())

"""Dispatcher: sends evaluations, listens for each of them, and sends again what is lost.

The broker is never trusted alone. Workers say in their heartbeats what they are at; what none of
them is at and no message asks for is lost with whoever had it, and sent again. What was sent and has
no final result is written down in Redis, so that another coordinator can go on; doing an evaluation
twice is free, since what was paid for and what was recorded is kept under the evaluation's id.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from celery import Celery
from kombu.exceptions import BatchPublishError, OperationalError
from kombu.messaging import Producer
from kombu.utils.functional import retry_over_time

from study import broker, fleet, keys
from study.connection import Client
from study.messages import EVALUATE_EXAMPLE, QUEUE, EvaluateExample, Evaluation, Unevaluated
from study.studies import StudyRecord

TRIES_MAX: Final = 6
"""How often an evaluation is sent because its infrastructure failed, before it is given up."""
BACK_OFF_S: Final = (0.5, 2.0, 5.0, 15.0, 30.0)
"""How long to wait before each further try."""
SURPLUS: Final = 0.25
"""What waits in the queue beside what is in flight, as a share of it: workers go on while the search thinks.
Only where the fleet has no more slots than calls may be in flight, or these would be more."""
HELD_S_MAX: Final = 3600.0
"""How long a living worker may be at one evaluation before it is sent to another as well."""
PUBLISH: Final = {"max_retries": 60, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 2}
"""How a message is sent while the broker is away: for about two minutes."""


@dataclass(kw_only=True)
class Outstanding:
    """An evaluation that was sent: its message, worst case and tries.

    `due_s` is when it is sent again: soon while `waiting` for another try, else only if it is stuck.
    `heard_s` is when it was last known to be in a worker's hands, or in the queue.
    """

    message: EvaluateExample
    worst_case: int
    tries: int = 1
    due_s: float = 0.0
    heard_s: float = 0.0
    waiting: bool = field(default=False)


class Dispatcher:
    """The evaluations of one study that are out.

    Args:
        celery: the app that sends.
        broker: a client of the broker's database, to see whether messages still wait in the queue.
        client: of the study's Redis.
        record: the study.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        celery: Celery,
        *,
        broker: Client,
        client: Client,
        record: StudyRecord,
        clock: Callable[[], float],
    ) -> None:
        self._celery, self._broker, self._client = celery, broker, client
        self._record, self._clock = record, clock
        self._out: dict[str, Outstanding] = {}
        self._struck: list[str] = []
        self._beats: dict[str, int] = {}
        self._slots = 0
        self._listened_s = clock()

    def __len__(self) -> int:
        return len(self._out)

    @property
    def free(self) -> int:
        """How many more evaluations may be out."""
        concurrency = self._record.spec.limits.concurrency
        surplus = math.ceil(SURPLUS * concurrency) if 0 < self._slots <= concurrency else 0
        return concurrency + surplus - len(self._out)

    @property
    def promised(self) -> int:
        """The sum of the worst cases of what is out, in nanodollars: reserved by now, or soon."""
        return sum(one.worst_case for one in self._out.values())

    def send(self, works: Sequence[tuple[EvaluateExample, int]]) -> None:
        """Write evaluations down, each with its worst case in nanodollars, and send them."""
        if not works:
            return
        self.flush()  # what is asked for again must stay written down
        written = {message.evaluation: message.model_dump_json() for message, _ in works}
        self._client.hset(keys.sent(self._record.id), mapping=written)
        sent = [Outstanding(message=message, worst_case=worst) for message, worst in works]
        self._out.update({one.message.evaluation: one for one in sent})
        self._publish(sent)

    def send_again_all(self, worst_case: Callable[[EvaluateExample], int]) -> None:
        """Send what an earlier coordinator sent and never got a final result for."""
        texts = self._client.hvals(keys.sent(self._record.id))
        messages = [EvaluateExample.model_validate_json(text) for text in texts]
        self.send([(message, worst_case(message)) for message in messages])

    def done(self, evaluation: str) -> None:
        """Strike an evaluation off; what is written down of it goes with the next `flush`."""
        self._struck.append(evaluation)
        self._out.pop(evaluation, None)

    def flush(self) -> None:
        """Let Redis forget what was struck off: once for a block of results, not for each.

        After a crash before it, whoever resumes reads the results again, and strikes them off anew.
        """
        if self._struck:
            self._client.hdel(keys.sent(self._record.id), *self._struck)
            self._struck.clear()

    def try_later(self, result: Evaluation) -> bool:
        """Plan another try of an evaluation that failed, unless there were enough.

        Returns:
            Whether it will be tried again.
        """
        one = self._out.get(result.evaluation)
        if one is None:
            return True  # struck off, or already given up: a late echo
        if isinstance(result, Unevaluated) and result.retry_after_s is not None:
            # Only the rate limit stands in the way: no failure, however often its turn is far off.
            one.waiting, one.due_s = True, self._clock() + result.retry_after_s
            return True
        if one.tries >= TRIES_MAX:
            self.done(result.evaluation)
            return False
        one.waiting = True
        one.due_s = self._clock() + BACK_OFF_S[min(one.tries, len(BACK_OFF_S)) - 1]
        one.tries += 1
        return True

    def send_due(self) -> int:
        """Send what waits for another try, and what is lost; how many were lost.

        An evaluation is lost `fleet.SILENT_S` after the last sign of it. Called about once a second.
        """
        now = self._clock()
        self._listen(now)
        lost = self._lost(now)
        self._publish([one for one in self._out.values() if one.due_s <= now] + lost)
        return len(lost)

    def _listen(self, now: float) -> None:
        """Hear what living workers are at: those whose heartbeats go on."""
        if not self._out:
            self._listened_s = now
            return
        alive = fleet.workers(self._client)
        self._slots = sum(worker.slots for worker in alive)
        fresh = [one for one in alive if self._beats.get(one.life) != one.beat]
        self._beats = {one.life: one.beat for one in alive}
        at_hand = {name for worker in fresh for name in worker.at_hand}
        deaf_s = now - self._listened_s  # what we could not hear is no silence of theirs
        self._listened_s = self._clock()
        for name, one in self._out.items():
            if fleet.doing(self._record.id, name) in at_hand:
                one.heard_s = now
            elif deaf_s > fleet.HEARTBEAT_S:
                one.heard_s = min(now, one.heard_s + deaf_s)

    def _lost(self, now: float) -> list[Outstanding]:
        """What no worker was at for some time, and no message asks for."""
        silent = [
            one
            for one in self._out.values()
            if not one.waiting and now - one.heard_s > fleet.SILENT_S
        ]
        queued = broker.waiting(self._broker, self._record.id) if silent else set()
        lost = []
        for one in silent:
            if queued is None or one.message.evaluation in queued:
                one.heard_s = now
            else:
                lost.append(one)
        return lost

    def cancel_waiting(self) -> None:
        """Forget, in this process, what waits for another try; it stays written down for a resume."""
        for name in [name for name, one in self._out.items() if one.waiting]:
            del self._out[name]

    def _publish(self, sent: Sequence[Outstanding]) -> None:
        if not sent:
            return
        with self._celery.producer_pool.acquire(block=True) as producer:
            retry_over_time(  # type: ignore[no-untyped-call]
                self._send_batch,
                (OperationalError, BatchPublishError),
                args=(producer, [one.message for one in sent]),
                **PUBLISH,
            )
        now = self._clock()
        for one in sent:
            one.waiting, one.heard_s, one.due_s = False, now, now + HELD_S_MAX

    def _send_batch(self, producer: Producer, messages: Sequence[EvaluateExample]) -> None:
        """Send messages in one round trip; a repeat sends some of them twice, which is free."""
        with producer.batch():  # type: ignore[no-untyped-call]
            for message in messages:
                self._celery.send_task(
                    EVALUATE_EXAMPLE,
                    args=[message.model_dump()],
                    queue=QUEUE,
                    retry=False,
                    producer=producer,
                )

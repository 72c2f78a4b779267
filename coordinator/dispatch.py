"""Dispatcher: sends evaluations, holds a lease on each, and sends again what is missing.

The broker is never trusted alone. What was sent and has no final result is written down in Redis, so
that another coordinator can go on; doing an evaluation twice is free, since what was paid for and
what was recorded is kept under the evaluation's id.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from celery import Celery

from study import keys
from study.connection import Client
from study.messages import EVALUATE_EXAMPLE, QUEUE, EvaluateExample, Evaluation
from study.studies import StudyRecord

TRIES_MAX: Final = 6
"""How often an evaluation is sent because its infrastructure failed, before it is given up."""
BACK_OFF_S: Final = (0.5, 2.0, 5.0, 15.0, 30.0)
"""How long to wait before each further try."""
LEASE_MARGIN_S: Final = 30.0
"""Beside two timeouts: the time a sandbox and a busy machine may take."""


@dataclass(kw_only=True)
class Outstanding:
    """An evaluation that was sent: its message, worst case, tries, and when it is sent again."""

    message: EvaluateExample
    worst_case: int
    tries: int = 1
    due_s: float = 0.0
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
        self._lease_s = 2 * record.spec.endpoint.timeout_s + LEASE_MARGIN_S
        self._out: dict[str, Outstanding] = {}

    def __len__(self) -> int:
        return len(self._out)

    @property
    def free(self) -> int:
        """How many more evaluations may be out."""
        return self._record.spec.limits.concurrency - len(self._out)

    @property
    def promised(self) -> int:
        """The sum of the worst cases of what is out, in nanodollars: reserved by now, or soon."""
        return sum(one.worst_case for one in self._out.values())

    def send(self, message: EvaluateExample, *, worst_case: int) -> None:
        """Write an evaluation down and send it."""
        name, sent = message.evaluation, keys.sent(self._record.id)
        self._client.hset(sent, name, message.model_dump_json())
        self._out[name] = Outstanding(message=message, worst_case=worst_case)
        self._publish(self._out[name])

    def send_again_all(self, worst_case: Callable[[EvaluateExample], int]) -> None:
        """Send what an earlier coordinator sent and never got a final result for."""
        for text in self._client.hvals(keys.sent(self._record.id)):
            message = EvaluateExample.model_validate_json(text)
            self.send(message, worst_case=worst_case(message))

    def done(self, evaluation: str) -> bool:
        """Strike an evaluation off; whether it was out."""
        self._client.hdel(keys.sent(self._record.id), evaluation)
        return self._out.pop(evaluation, None) is not None

    def try_later(self, result: Evaluation) -> bool:
        """Plan another try of an evaluation that failed, unless there were enough.

        Returns:
            Whether it will be tried again.
        """
        one = self._out.get(result.evaluation)
        if one is None:
            return True  # struck off, or already given up: a late echo
        if one.tries >= TRIES_MAX:
            self.done(result.evaluation)
            return False
        one.waiting = True
        one.due_s = self._clock() + BACK_OFF_S[min(one.tries, len(BACK_OFF_S)) - 1]
        one.tries += 1
        return True

    def send_due(self) -> int:
        """Send what waits for another try, and what is missing; how many were missing.

        An evaluation is missing when its lease is over and no message waits in the queue.
        """
        now, missing = self._clock(), 0
        due = [one for one in self._out.values() if one.due_s <= now]
        overdue = [one for one in due if not one.waiting]
        if overdue and self._broker.llen(QUEUE):
            for one in overdue:  # they wait for a free worker: nothing is lost
                one.due_s = now + self._lease_s
            due = [one for one in due if one.waiting]
        for one in due:
            missing += not one.waiting
            self._publish(one)
        return missing

    def cancel_waiting(self) -> None:
        """Forget, in this process, what waits for another try; it stays written down for a resume."""
        for name in [name for name, one in self._out.items() if one.waiting]:
            del self._out[name]

    def _publish(self, one: Outstanding) -> None:
        message: dict[str, Any] = one.message.model_dump()
        one.waiting, one.due_s = False, self._clock() + self._lease_s
        self._celery.send_task(EVALUATE_EXAMPLE, args=[message], queue=QUEUE, retry=True)

"""Retention: how a study goes from Redis. Nothing goes by itself, and the fleet's books stay whole.

What is told, answered and scored goes. Money does not: the fleet's account and its journal, in which each
movement of a study stands, are as they were; the study's own account is closed and keeps its sums. Old
entries of the fleet's journal are summed up where that is asked for, and their sums stay.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

from study import fleet, keys
from study.connection import Client
from study.errors import InfrastructureError, SpecError
from study.ledger import Ledger
from study.studies import Studies, StudyStatus

KEYS_AT_ONCE: Final = 500
"""Bounds how long Redis is kept from others."""
DAY_S: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """A study that went: how many keys of it, and what it had spent, in nanodollars."""

    study: str
    keys: int
    spent: int


class Retention:
    """The studies of one Redis, on their way out.

    Args:
        redis: a client with `decode_responses=True`.
        clock: seconds since 1970.
    """

    def __init__(self, redis: Client, *, clock: Callable[[], float] = time.time) -> None:
        self._redis, self._clock = redis, clock
        self._studies, self._ledger = Studies(redis), Ledger(redis)

    def ended(self, *, days: float) -> list[str]:
        """Studies that are complete, and whose last result is older than so many days; oldest first."""
        before_s = self._clock() - days * DAY_S
        return [
            study
            for study in reversed(self._studies.ids())
            if self._studies.status(study) is StudyStatus.COMPLETE
            and self._last_s(study) < before_s
            and self._studies.lease(study) is None
        ]

    def forget(self, study: str, *, even_if_unfinished: bool = False) -> Forgotten:
        """Remove a study; what is left of one whose removal was broken off goes with a repeat.

        Args:
            study: its id.
            even_if_unfinished: also one that can be resumed; what a worker may still be billed for is
                settled in doubt.

        Raises:
            UnknownStudy: there is none of this id.
            StudyBusy: a coordinator drives it.
            SpecError: it can be resumed, or a worker is at it, or may still be billed for a call of it.
        """
        record = self._studies.load(study)
        holder = f"forget/{uuid.uuid4().hex}"
        self._studies.take_lease(study, holder)  # nobody resumes it meanwhile
        try:
            self._check_left_alone(study)
            if not even_if_unfinished:
                self._check_ended(study, record.account)
        except SpecError:
            self._redis.delete(keys.lease(study))
            raise
        self._redis.delete(keys.sent(study))  # no worker begins a call from here on
        self._close(record.account)
        spent = self._ledger.balance(record.account).spent
        removed = 0
        names_left = self._names(study)
        while names := list(islice(names_left, KEYS_AT_ONCE)):
            removed += self._redis.unlink(*names)
            self._studies.renew_lease(study, holder)
        self._redis.zrem(keys.studies(), study)
        removed += self._redis.unlink(
            keys.study(study), keys.lease(study)
        )  # last: it can be repeated
        return Forgotten(study=study, keys=removed, spent=spent)

    def sum_up_books(self, *, days: float) -> int:
        """Replace the entries of the fleet's journals that are older than so many days by their sums.

        Twice is the same as once; what is newer stays, entry by entry.

        Returns:
            How many entries there were.
        """
        before_ms = int((self._clock() - days * DAY_S) * 1000)
        tops = (keys.FLEET_ACCOUNT, keys.REHEARSALS_ACCOUNT)
        return sum(self._ledger.sum_up(account, before_ms=before_ms) for account in tops)

    def _check_left_alone(self, study: str) -> None:
        """A worker that is at it would write its answer behind us."""
        names = [name for worker in fleet.workers(self._redis) for name in worker.at_hand]
        if any(name.startswith(fleet.doing(study, "")) for name in names):
            raise SpecError(
                field="study",
                value=study,
                problem="has a worker at it still",
                remedy="wait until its call has ended, and repeat the command",
            )

    def _check_ended(self, study: str, account: str) -> None:
        if self._studies.status(study) is not StudyStatus.COMPLETE:
            raise SpecError(
                field="study",
                value=study,
                problem="is not complete: it can be resumed with what was paid for",
                remedy=f"write `bursar resume {study}`, or forget it with --unfinished",
            )
        if self._ledger.balance(account).reserved:
            raise SpecError(
                field="study",
                value=study,
                problem="has money reserved: a worker may be billed for a call of it",
                remedy=f"write `bursar resume {study}`, or forget it with --unfinished",
            )

    def _close(self, account: str) -> None:
        """In doubt means spent, here too."""
        if not self._ledger.exists(account):
            return
        self._ledger.set_limit(account, self._ledger.balance(account).spent)
        for reservation in self._ledger.open_reservations(account):
            self._ledger.settle_in_doubt(account, reservation)
        if not self._ledger.close(account):
            raise InfrastructureError(f"{account} could not be closed. Repeat the command")

    def _names(self, study: str) -> Iterator[str]:
        """All keys of a study, but those that say that it is there."""
        arms = [trial.arm.key for trial in self._studies.trials(study)]
        examples: Sequence[str] = self._redis.hkeys(keys.examples(study))
        for arm, example in product(arms, examples):
            yield keys.paid_calls(study, arm, example)
        for kind in (
            keys.results,
            keys.results_recorded,
            keys.attempts,
            keys.prompt_tokens,
            keys.eval_func_errors,
            keys.sent,
            keys.examples,  # and trials last: they name the others
            keys.trials,
        ):
            yield kind(study)

    def _last_s(self, study: str) -> float:
        """When its last result came; when it was created, if none did."""
        last = self._redis.xrevrange(keys.results(study), count=1)
        if last:
            return int(last[0][0].partition("-")[0]) / 1000
        return self._studies.load(study).created_at_s

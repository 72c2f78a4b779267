"""Studies: a study's state in Redis, so that any coordinator can resume it and any worker serve it."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from study import keys, prices, scripts
from study.connection import Client
from study.errors import StudyBusy, UnknownStudy
from study.prices import Price
from study.spec import StudySpec
from study.trials import Trial

LEASE_MS: Final = 15_000
"""A coordinator renews its lease at least three times within this; a dead one's ends by itself."""
WRITE_BLOCK: Final = 500
TRACEBACKS_MAX: Final = 20
"""Of a user's function: the next ones say the same."""
RECORD_FIELDS: Final = (
    "spec",
    "prices",
    "account",
    "purpose",
    "source",
    "base_url",
    "scored_by_coordinator",
    "created_at_s",
)
"""What a record is read from: a worker reads them for each evaluation, so the report stays out."""


class StudyStatus(StrEnum):
    """Where a study stands. `interrupted` and `failed` studies can be resumed."""

    RUNNING = "running"
    STOPPING = "stopping"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    COMPLETE = "complete"


class Purpose(StrEnum):
    """What a study is for: to tune, or to evaluate one config on held-out examples."""

    TUNE = "tune"
    TEST = "test"


class Source(StrEnum):
    """Who answers: a real model, or the rehearsal endpoint."""

    MODEL = "model"
    REHEARSAL = "rehearsal"


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """What does not change while a study lives.

    `account` names its account in the ledger; `source` says whether real money is spent;
    `scored_by_coordinator`: the user's metric lives in the coordinator's process only.
    """

    id: str
    spec: StudySpec
    prices: Mapping[str, Price]
    account: str
    purpose: Purpose
    source: Source
    base_url: str | None
    scored_by_coordinator: bool
    created_at_s: float


@dataclass(frozen=True, kw_only=True)
class HeldLease:
    """Who drives a study, and for how long yet if the lease is not renewed."""

    holder: str
    left_ms: int


class Studies:
    """The studies in one Redis.

    Args:
        redis: a client with `decode_responses=True`.
    """

    lease_ms = LEASE_MS

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._take_lease = scripts.load(redis, "take_lease")
        self._renew_lease = scripts.load(redis, "renew_lease")
        self._end_lease = scripts.load(redis, "end_lease")

    def create(
        self,
        spec: StudySpec,
        *,
        pinned: Mapping[str, Price],
        purpose: Purpose = Purpose.TUNE,
        source: Source,
        base_url: str | None,
        scored_by_coordinator: bool,
        examples: Iterable[tuple[str, Mapping[str, Any]]],
        clock: Callable[[], float] = time.time,
    ) -> StudyRecord:
        """Write a new study; its id is its name and a few random letters."""
        suffix = "" if purpose is Purpose.TUNE else f"-{purpose.value}"
        study_id = f"{spec.name}{suffix}-{uuid.uuid4().hex[:8]}"
        record = StudyRecord(
            id=study_id,
            spec=spec,
            prices=dict(pinned),
            account=study_id if source is Source.MODEL else keys.REHEARSAL_PREFIX + study_id,
            purpose=purpose,
            source=source,
            base_url=base_url,
            scored_by_coordinator=scored_by_coordinator,
            created_at_s=clock(),
        )
        self.add_examples(study_id, examples)
        self._redis.hset(
            keys.study(study_id),
            mapping={
                "spec": spec.model_dump_json(),
                "prices": json.dumps(prices.to_dict(pinned)),
                "account": record.account,
                "purpose": purpose.value,
                "source": source.value,
                "base_url": base_url or "",
                "scored_by_coordinator": int(scored_by_coordinator),
                "created_at_s": record.created_at_s,
                "status": StudyStatus.RUNNING.value,
            },
        )
        self._redis.zadd(keys.studies(), {study_id: record.created_at_s})
        return record

    def load(self, study_id: str) -> StudyRecord:
        """Read a study.

        Raises:
            UnknownStudy: if there is none of this id.
        """
        return record_of(study_id, self._redis.hmget(keys.study(study_id), RECORD_FIELDS))

    def ids(self) -> list[str]:
        """Ids of all studies, newest first."""
        return list(self._redis.zrevrange(keys.studies(), 0, -1))

    def status(self, study_id: str) -> StudyStatus:
        """Where a study stands.

        Raises:
            UnknownStudy: if there is none of this id.
        """
        found = self._redis.hget(keys.study(study_id), "status")
        if found is None:
            raise UnknownStudy(study_id)
        return StudyStatus(found)

    def set_status(self, study_id: str, status: StudyStatus) -> None:
        """Say where a study stands."""
        self._redis.hset(keys.study(study_id), "status", status.value)

    def add_examples(self, study_id: str, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Write examples, as pairs of id and row; a repeat writes the same."""
        block: dict[str, str] = {}
        for example_id, row in rows:
            block[example_id] = json.dumps(row, separators=(",", ":"))
            if len(block) == WRITE_BLOCK:
                self._redis.hset(keys.examples(study_id), mapping=block)
                block = {}
        if block:
            self._redis.hset(keys.examples(study_id), mapping=block)

    def example(self, study_id: str, example_id: str) -> dict[str, Any]:
        """One row.

        Raises:
            UnknownStudy: if the study has no such example.
        """
        found = self._redis.hget(keys.examples(study_id), example_id)
        if found is None:
            raise UnknownStudy(f"{study_id} (example {example_id})")
        row: dict[str, Any] = json.loads(found)
        return row

    def examples(self, study_id: str) -> dict[str, dict[str, Any]]:
        """All rows by example id, in the order of their numbers."""
        found = self._redis.hgetall(keys.examples(study_id))
        ordered = sorted(found, key=lambda name: (len(name), name))
        return {name: json.loads(found[name]) for name in ordered}

    def save_trial(self, study_id: str, trial: Trial) -> None:
        """Write a trial as it stands now."""
        self.save_trials(study_id, [trial])

    def save_trials(self, study_id: str, trials: Iterable[Trial]) -> None:
        """Write trials as they stand now, all at once."""
        texts = {str(t.number): json.dumps(t.to_dict(), separators=(",", ":")) for t in trials}
        if texts:
            self._redis.hset(keys.trials(study_id), mapping=texts)

    def trial(self, study_id: str, number: int) -> Trial:
        """One trial.

        Raises:
            UnknownStudy: if the study has no such trial.
        """
        found = self._redis.hget(keys.trials(study_id), str(number))
        if found is None:
            raise UnknownStudy(f"{study_id} (trial {number})")
        return Trial.from_dict(json.loads(found))

    def trials(self, study_id: str) -> list[Trial]:
        """All trials, in the order in which they were proposed."""
        found = self._redis.hvals(keys.trials(study_id))
        return sorted((Trial.from_dict(json.loads(t)) for t in found), key=lambda t: t.number)

    def save_eval_func_error(self, study_id: str, evaluation: str, traceback: str) -> None:
        """Keep what the user's function raised on an evaluation; a repeat changes nothing."""
        name = keys.eval_func_errors(study_id)
        kept = traceback if self._redis.hlen(name) < TRACEBACKS_MAX else ""
        self._redis.hsetnx(name, evaluation, kept)

    def eval_func_errors(self, study_id: str) -> tuple[int, dict[str, str]]:
        """How many evaluations the user's function raised on, and the tracebacks that were kept."""
        name = keys.eval_func_errors(study_id)
        found = self._redis.hscan_iter(name, count=1000)
        kept = {evaluation: text for evaluation, text in found if text}
        return int(self._redis.hlen(name)), kept

    def save_report(self, study_id: str, report: Mapping[str, Any]) -> None:
        """Keep the study's last report (the JSON of `tune --json`)."""
        self._redis.hset(keys.study(study_id), "report", json.dumps(report))

    def report(self, study_id: str) -> dict[str, Any] | None:
        """The study's last report, if there is one."""
        found = self._redis.hget(keys.study(study_id), "report")
        return None if found is None else dict(json.loads(found))

    def lease(self, study_id: str) -> HeldLease | None:
        """Who drives a study; None where nobody does."""
        holder = self._redis.get(keys.lease(study_id))
        left_ms = int(self._redis.pttl(keys.lease(study_id)))
        return HeldLease(holder=holder, left_ms=left_ms) if holder and left_ms >= 0 else None

    def take_lease(self, study_id: str, holder: str, *, instead_of: str = "") -> None:
        """Become the one coordinator of a study.

        Args:
            study_id: the study.
            holder: the coordinator's name.
            instead_of: a holder known to be dead, whose lease is taken over.

        Raises:
            StudyBusy: if another one holds the lease.
        """
        names = [keys.lease(study_id), keys.study(study_id)]
        if self._take_lease(names, [holder, self.lease_ms, instead_of]) == "held":
            raise StudyBusy(busy(study_id))

    def renew_lease(self, study_id: str, holder: str) -> None:
        """Stay the one coordinator of a study; its lease may even have ended meanwhile.

        Raises:
            StudyBusy: if another one took the study.
        """
        names = [keys.lease(study_id), keys.study(study_id)]
        if self._renew_lease(names, [holder, self.lease_ms]) == "lost":
            raise StudyBusy(busy(study_id))

    def end_lease(self, study_id: str, holder: str, status: StudyStatus) -> None:
        """Say where a study stands and give it up, unless another coordinator took it."""
        self._end_lease([keys.lease(study_id), keys.study(study_id)], [holder, status.value])


def busy(study_id: str) -> str:
    """What to do about a study that another coordinator drives."""
    return (
        f"another coordinator drives study {study_id}. Stop it with `bursar stop {study_id}`, "
        "on any machine that reaches its Redis"
    )


def record_of(study_id: str, values: Sequence[str | None]) -> StudyRecord:
    """A study from its `RECORD_FIELDS`, as Redis has them.

    Raises:
        UnknownStudy: if it has them not.
    """
    if values[0] is None:
        raise UnknownStudy(study_id)
    return _record(study_id, tuple(values))


@lru_cache(maxsize=64)
def _record(study_id: str, values: tuple[str, ...]) -> StudyRecord:
    """Read a record once in each process: every evaluation asks for it."""
    found = dict(zip(RECORD_FIELDS, values, strict=True))
    return StudyRecord(
        id=study_id,
        spec=_spec(found["spec"]),
        prices=prices.from_dict(json.loads(found["prices"])),
        account=found["account"],
        purpose=Purpose(found["purpose"]),
        source=Source(found["source"]),
        base_url=found["base_url"] or None,
        scored_by_coordinator=found["scored_by_coordinator"] == "1",
        created_at_s=float(found["created_at_s"]),
    )


@lru_cache(maxsize=64)
def _spec(text: str) -> StudySpec:
    """Read a spec once in each process: a study and its tests have the same."""
    return StudySpec.parse(json.loads(text))

"""Assignment: all that a worker reads before an evaluation, in one round trip; hence a file of its own."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from study import keys, prompt_tokens
from study.config import Arm
from study.connection import Client
from study.errors import UnknownStudy
from study.messages import EvaluateExample
from study.paid_calls import PaidCall
from study.studies import RECORD_FIELDS, Studies, StudyRecord, StudyStatus, record_of

ARMS_MAX: Final = 10_000
"""Whose arms are remembered: a trial's never changes."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A message with what it refers to, and what was done about it before.

    Args:
        record: the study.
        status: where it stands.
        arm: the trial's.
        example: the row.
        is_asked_for: whether a coordinator wrote this very evaluation down, and nobody struck it off
            since. It is written before it is sent: what is not there is forged, or comes too late.
        is_recorded: whether its final result is in the stream.
        paid: the answer to its call, if it was paid for.
        prompt: the prompt's name.
        prompt_tokens: what this prompt was billed for; None where it was not yet.
    """

    record: StudyRecord
    status: StudyStatus
    arm: Arm
    example: dict[str, Any] = field(repr=False)
    is_asked_for: bool
    is_recorded: bool
    paid: PaidCall | None = field(repr=False)
    prompt: str
    prompt_tokens: int | None


class Assignments:
    """Reads assignments from one Redis.

    Args:
        redis: a client with `decode_responses=True`.
    """

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        studies = Studies(redis)
        self._arm = lru_cache(maxsize=ARMS_MAX)(lambda study, n: studies.trial(study, n).arm)

    def read(self, message: EvaluateExample) -> Assignment:
        """All that a message refers to, as of now: one round trip, and one more for an arm's first.

        Raises:
            UnknownStudy: the study, the trial, its arm or the example is not there.
        """
        study, call = message.study, message.call
        arm: Arm = self._arm(study, message.trial)
        if arm.key != message.arm:
            raise UnknownStudy(f"{study} (arm {message.arm} of trial {message.trial})")
        prompt = prompt_tokens.name_of(arm, message.example)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(keys.study(study), [*RECORD_FIELDS, "status"])
            pipe.hget(keys.examples(study), message.example)
            pipe.hget(keys.sent(study), message.evaluation)
            pipe.sismember(keys.results_recorded(study), message.evaluation)
            pipe.hget(keys.paid_calls(study, call.arm, call.example), call.span)
            pipe.hget(keys.prompt_tokens(study), prompt)
            (*values, status), row, sent, recorded, paid, tokens = pipe.execute()
        record = record_of(study, values)
        if row is None:
            raise UnknownStudy(f"{study} (example {message.example})")
        return Assignment(
            record=record,
            status=StudyStatus(status),
            arm=arm,
            example=json.loads(row),
            is_asked_for=sent is not None and EvaluateExample.model_validate_json(sent) == message,
            is_recorded=bool(recorded),
            paid=None if paid is None else PaidCall.from_json(paid),
            prompt=prompt,
            prompt_tokens=None if tokens is None else int(tokens),
        )

"""What a worker reads before an evaluation: all of it, as of now, in one round trip."""

from dataclasses import replace
from typing import Any

import pytest

from study import keys, prompt_tokens
from study.assignments import Assignments
from study.config import Arm
from study.connection import Client
from study.errors import UnknownStudy
from study.messages import EvaluateExample
from study.paid_calls import PaidCall, PaidCalls
from study.prices import Price, Usage
from study.prompt_tokens import PromptTokens
from study.spec import StudySpec
from study.studies import Source, Studies, StudyRecord, StudyStatus
from study.trials import Trial, TrialState

ARM = Arm(model="m", template=0, params={"max_tokens": 10, "temperature": 0.5})
PAID = PaidCall(
    reservation="r",
    completions=(),
    usage=Usage(prompt_tokens=7, completion_tokens=2),
    cost_nanodollars=9,
    model="m",
    fingerprint="",
    latency_s=0.1,
)


@pytest.fixture
def record(client: Client) -> StudyRecord:
    spec = StudySpec.parse(
        {
            "name": "assigned",
            "data": {"path": "p"},
            "budget": {"optimization_usd": 1.0, "inference_usd": 0.1},
            "space": {"model": ["m"]},
        }
    )
    made = Studies(client).create(
        spec,
        pinned={"m": Price.from_usd(input=1, output=1)},
        source=Source.REHEARSAL,
        base_url=None,
        scored_by_coordinator=False,
        examples=[("tune-0", {"prompt": "hello"})],
    )
    Studies(client).save_trial(made.id, Trial(number=0, arm=ARM))
    return made


def message(record: StudyRecord, **changes: Any) -> EvaluateExample:
    which = {"trial": 0, "arm": ARM.key, "example": "tune-0", "first_draw": 0, "draws": 4}
    return EvaluateExample(study=record.id, **{**which, **changes})


def test_it_says_what_a_message_refers_to(client: Client, record: StudyRecord) -> None:
    found = Assignments(client).read(message(record))
    assert found.record == record
    assert (found.arm, found.example) == (ARM, {"prompt": "hello"})
    assert not found.is_asked_for
    assert not found.is_recorded
    assert (found.paid, found.prompt_tokens) == (None, None)


def test_what_may_change_is_read_each_time(client: Client, record: StudyRecord) -> None:
    assignments, asked = Assignments(client), message(record)
    assert assignments.read(asked).status is StudyStatus.RUNNING
    Studies(client).set_status(record.id, StudyStatus.STOPPING)
    client.hset(keys.sent(record.id), asked.evaluation, asked.model_dump_json())
    client.sadd(keys.results_recorded(record.id), asked.evaluation)
    PaidCalls(client, record.id).store(asked.call, PAID, holder="h")
    PromptTokens(client, record.id).learn(prompt_tokens.name_of(ARM, "tune-0"), 7)
    found = assignments.read(asked)
    assert found.status is StudyStatus.STOPPING
    assert found.is_asked_for
    assert found.is_recorded
    assert (found.paid, found.prompt_tokens) == (PAID, 7)
    client.hdel(keys.sent(record.id), asked.evaluation)
    assert not assignments.read(asked).is_asked_for


def test_another_message_under_the_same_evaluation_is_not_asked_for(
    client: Client, record: StudyRecord
) -> None:
    other = Trial(number=1, arm=ARM)
    Studies(client).save_trial(record.id, other)
    asked = message(record)
    client.hset(keys.sent(record.id), asked.evaluation, asked.model_dump_json())
    assert not Assignments(client).read(message(record, trial=1)).is_asked_for


def test_it_takes_one_round_trip_once_the_arm_is_known(
    client: Client, record: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    assignments = Assignments(client)
    assignments.read(message(record))
    trial = Trial(number=0, arm=ARM)
    Studies(client).save_trial(record.id, replace(trial, state=TrialState.RUNNING))
    pool, trips = client.connection_pool, []
    monkeypatch.setattr(pool, "get_connection", _counted(pool.get_connection, trips))
    assert assignments.read(message(record)).arm == ARM
    assert len(trips) == 1


@pytest.mark.parametrize("wrong", [{"trial": 7}, {"arm": "0123456789abcdef"}, {"example": "t-9"}])
def test_what_is_not_there_is_no_assignment(
    wrong: dict[str, Any], client: Client, record: StudyRecord
) -> None:
    with pytest.raises(UnknownStudy):
        Assignments(client).read(message(record, **wrong))


def test_a_study_that_is_gone_is_no_assignment(client: Client, record: StudyRecord) -> None:
    assignments = Assignments(client)
    assignments.read(message(record))
    client.delete(keys.study(record.id))
    with pytest.raises(UnknownStudy):
        assignments.read(message(record))


def _counted(function: Any, calls: list[int]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return function(*args, **kwargs)

    return call

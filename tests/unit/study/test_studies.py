"""Studies in Redis: whole after a round trip, and driven by one coordinator at a time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from study import keys
from study.config import Arm, Config
from study.connection import Client
from study.errors import StudyBusy, UnknownStudy
from study.prices import Price
from study.spec import StudySpec
from study.studies import (
    LEASE_MS,
    TRACEBACKS_MAX,
    WRITE_BLOCK,
    Source,
    Studies,
    StudyRecord,
    StudyStatus,
)
from study.trials import Estimate, Trial, TrialState

ARM = Arm(model="m", template=1, params={"temperature": 0.5, "max_tokens": 100, "stop": ["\n"]})
ESTIMATE = Estimate(
    config=Config(arm=ARM, n=3),
    value=0.5,
    std_error=0.1,
    lower=0.3,
    upper=0.7,
    inference_cost_nanodollars=42,
    examples=5,
    draws=20,
)


@pytest.fixture
def studies(client: Client) -> Studies:
    return Studies(client)


def create(
    studies: Studies, rows: list[dict[str, Any]] | None = None, at_s: float = 0.0
) -> StudyRecord:
    spec = StudySpec.parse(
        {
            "name": "s",
            "data": {"path": "p"},
            "budget": {"optimization_usd": 2.01, "inference_usd": 0.1},
            "space": {"model": ["m"], "max_tokens": {"low": 5, "high": 10}},
        }
    )
    return studies.create(
        spec,
        pinned={"m": Price.from_usd(input=0.15, output=0.6)},
        source=Source.REHEARSAL,
        base_url="http://127.0.0.1:1/v1",
        scored_by_coordinator=True,
        examples=((f"tune-{i}", row) for i, row in enumerate(rows or [])),
        clock=lambda: at_s,
    )


def test_a_study_is_read_back_as_it_was_written(studies: Studies) -> None:
    record = create(studies)
    assert studies.load(record.id) == record
    assert studies.status(record.id) == StudyStatus.RUNNING
    studies.set_status(record.id, StudyStatus.COMPLETE)
    assert studies.status(record.id) == StudyStatus.COMPLETE
    assert studies.report(record.id) is None
    studies.save_report(record.id, {"status": "complete"})
    assert studies.report(record.id) == {"status": "complete"}


def test_studies_are_listed_newest_first(studies: Studies) -> None:
    old, new = create(studies, at_s=1.0), create(studies, at_s=2.0)
    assert old.id != new.id
    assert studies.ids() == [new.id, old.id]


def test_what_is_not_there_says_so(studies: Studies) -> None:
    record = create(studies)
    for look in (
        lambda: studies.load("none"),
        lambda: studies.status("none"),
        lambda: studies.example(record.id, "tune-9"),
        lambda: studies.trial(record.id, 9),
    ):
        with pytest.raises(UnknownStudy, match="bursar list"):
            look()


def test_examples_are_written_in_blocks_and_none_is_lost(studies: Studies) -> None:
    rows = [{"q": f"question {i}", "n": i, "list": [None, 1.5]} for i in range(WRITE_BLOCK + 7)]
    record = create(studies, rows)
    for number in (0, WRITE_BLOCK - 1, WRITE_BLOCK, WRITE_BLOCK + 6):
        assert studies.example(record.id, f"tune-{number}") == rows[number]


def test_a_trial_is_read_back_as_it_was_written_and_the_last_write_stands(studies: Studies) -> None:
    record = create(studies)
    waiting = Trial(number=10, arm=ARM)
    done = Trial(number=2, arm=ARM, state=TrialState.COMPLETE, rung=2, estimate=ESTIMATE)
    for trial in (waiting, done):
        studies.save_trial(record.id, trial)
    assert studies.trial(record.id, 2) == done
    assert studies.trials(record.id) == [done, waiting]
    pruned = Trial(number=10, arm=ARM, state=TrialState.PRUNED, reason="too dear")
    studies.save_trial(record.id, pruned)
    assert studies.trial(record.id, 10) == pruned


def test_an_arm_has_one_key_whatever_the_order_of_its_parameters() -> None:
    turned = Arm(model="m", template=1, params=dict(reversed(ARM.params.items())))
    assert turned.key == ARM.key
    assert len({turned, ARM}) == 1
    assert Arm(model="m", template=0, params=ARM.params).key != ARM.key
    assert Arm.from_dict(ARM.to_dict()).key == ARM.key


@pytest.mark.parametrize(
    ("params", "repeats"),
    [({}, False), ({"temperature": 0}, True), ({"temperature": 1}, False), ({"top_p": 0.0}, True)],
)
def test_an_arm_at_no_temperature_repeats_itself(params: dict[str, Any], repeats: bool) -> None:
    assert Arm(model="m", template=0, params=params).repeats_itself is repeats


def test_a_config_reads_as_a_user_would_pass_it() -> None:
    config = Config(arm=ARM, n=3)
    assert config.as_parameters(["a", "b"]) == {
        "model": "m",
        "prompt": "b",
        "temperature": 0.5,
        "max_tokens": 100,
        "stop": ["\n"],
        "n": 3,
    }
    messages = [{"role": "user", "content": "b"}]
    assert config.as_parameters(["a", messages])["messages"] == messages


def test_what_a_users_function_raised_is_counted_once_and_the_first_are_kept(
    studies: Studies,
) -> None:
    assert studies.eval_func_errors("s") == (0, {})
    for number in (*range(TRACEBACKS_MAX + 5), 0):  # the first one again, as after a resume
        studies.save_eval_func_error("s", f"a/tune-{number}/0+1", f"ValueError: {number}")
    count, kept = studies.eval_func_errors("s")
    assert count == TRACEBACKS_MAX + 5
    assert len(kept) == TRACEBACKS_MAX
    assert kept["a/tune-0/0+1"] == "ValueError: 0"


def test_two_coordinators_cannot_drive_a_study(studies: Studies, client: Client) -> None:
    studies.take_lease("s", "me")
    with pytest.raises(StudyBusy, match="bursar stop s"):
        studies.take_lease("s", "you")
    studies.renew_lease("s", "me")
    assert 0 < client.pttl(keys.lease("s")) <= LEASE_MS
    studies.end_lease("s", "you", StudyStatus.FAILED)  # not theirs to end
    with pytest.raises(StudyBusy):
        studies.take_lease("s", "you")
    studies.end_lease("s", "me", StudyStatus.INTERRUPTED)
    assert studies.status("s") is StudyStatus.INTERRUPTED
    studies.take_lease("s", "you")


def test_who_slept_past_its_lease_keeps_the_study_only_if_nobody_took_it(
    studies: Studies, client: Client
) -> None:
    studies.take_lease("s", "sleeper")
    studies.set_status("s", StudyStatus.RUNNING)
    client.delete(keys.lease("s"))  # its time has passed
    studies.renew_lease("s", "sleeper")
    client.delete(keys.lease("s"))
    studies.take_lease("s", "other")
    studies.end_lease("s", "other", StudyStatus.COMPLETE)  # nobody holds it, and yet:
    with pytest.raises(StudyBusy):
        studies.renew_lease("s", "sleeper")
    studies.end_lease("s", "sleeper", StudyStatus.FAILED)
    assert studies.status("s") is StudyStatus.COMPLETE


def test_a_dead_holders_lease_is_taken_over_by_name(studies: Studies) -> None:
    studies.take_lease("s", "dead")
    with pytest.raises(StudyBusy):
        studies.take_lease("s", "me", instead_of="somebody else")
    studies.take_lease("s", "me", instead_of="dead")
    with pytest.raises(StudyBusy):
        studies.renew_lease("s", "dead")


def test_of_many_that_want_a_study_at_once_one_gets_it(studies: Studies) -> None:
    def take(holder: int) -> bool:
        try:
            studies.take_lease("s", str(holder))
        except StudyBusy:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(take, range(32))).count(True) == 1


def test_renewing_a_lease_lengthens_it(studies: Studies, client: Client) -> None:
    studies.take_lease("s", "me")
    client.pexpire(keys.lease("s"), 1_000)
    studies.renew_lease("s", "me")
    assert client.pttl(keys.lease("s")) > LEASE_MS - 5_000

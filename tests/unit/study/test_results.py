"""Results: each once, in order, in blocks; what may be tried again is not final."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from study import keys
from study.connection import Client, connect
from study.messages import (
    RESULT_BYTES_MAX,
    ConfigFailed,
    Fatal,
    Paid,
    Scored,
    Unaffordable,
    Unevaluated,
)
from study.results import READ_COUNT_MAX, Results

PAID = Paid(calls=1, prompt_tokens=9, completion_tokens=4, cost_nanodollars=42, latency_s=0.5)


def whose(example: int = 0) -> dict[str, object]:
    return {"trial": 0, "arm": "a", "example": f"tune-{example}", "first_draw": 0, "draws": 2}


def scored(example: int = 0) -> Scored:
    return Scored.model_validate({**whose(example), "passes": [True, False], "paid": PAID})


@pytest.fixture
def results(client: Client) -> Results:
    return Results(client, "s")


def test_one_of_many_deliveries_is_recorded(results: Results) -> None:
    with ThreadPoolExecutor(16) as pool:
        recorded = list(pool.map(lambda _: results.record(scored()), range(32)))
    assert recorded.count(True) == 1
    assert len(results.read()) == 1


@pytest.mark.parametrize(
    "transient",
    [
        Unevaluated.model_validate({**whose(), "reason": "the engine was away"}),
        Unaffordable.model_validate({**whose(), "worst_case_nanodollars": 5}),
        Fatal.model_validate({**whose(), "reason": "the key is refused"}),
    ],
    ids=lambda result: result.kind,
)
def test_what_may_be_tried_again_is_told_each_time_and_is_never_final(
    results: Results, transient: Unevaluated
) -> None:
    assert results.record(transient)
    assert results.record(transient)
    assert not results.recorded(transient.evaluation)
    assert results.record(scored())
    assert [read for _, read in results.read()] == [transient, transient, scored()]


def test_a_refused_config_is_final(results: Results) -> None:
    refused = ConfigFailed.model_validate({**whose(), "reason": "no such parameter"})
    assert results.record(refused)
    assert not results.record(scored())
    assert results.recorded(refused.evaluation)


def test_every_kind_of_result_is_read_back_as_itself(results: Results) -> None:
    curve = {"passes": None, "curve": {1: 0.5, 2: 0.75}, "example": "tune-1"}
    sent = [scored(), scored().model_copy(update=curve)]
    sent += [scored().model_copy(update={"passes": None, "unscored": True, "example": "tune-2"})]
    for result in sent:
        results.record(result)
    assert [read for _, read in results.read()] == sent


def test_results_are_read_oldest_first_in_blocks_without_a_gap(results: Results) -> None:
    total = 2 * READ_COUNT_MAX + 10
    for example in range(total):
        results.record(scored(example))
    seen: list[str] = []
    sizes = []
    position = "0"
    while block := results.read(after=position):
        sizes.append(len(block))
        seen += [result.example for _, result in block]
        position = block[-1][0]
    assert seen == [f"tune-{example}" for example in range(total)]
    assert sizes == [READ_COUNT_MAX, READ_COUNT_MAX, 10]


def test_a_waiting_reader_is_woken_by_the_first_result(results: Results, redis_url: str) -> None:
    found: list[object] = []
    with connect(redis_url) as other:
        waiting = Results(other, "s")
        reader = threading.Thread(target=lambda: found.extend(waiting.read(block_ms=20_000)))
        reader.start()
        results.record(scored())
        reader.join(10)
        assert not reader.is_alive()
    assert len(found) == 1


def test_waiting_for_nothing_ends(results: Results) -> None:
    assert results.read(block_ms=1) == []


def test_a_result_that_could_not_be_read_again_is_refused_where_it_is_made() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            Scored.model_validate({**whose(), "curve": {1: value}, "paid": PAID})
    with pytest.raises(ValidationError):
        Scored.model_validate({**whose(), "paid": PAID, "unknown": 1})


def test_what_is_no_result_is_passed_over(client: Client, results: Results) -> None:
    def forge(**fields: str) -> None:
        client.xadd(keys.results("s"), fields)

    good = scored().model_dump_json()
    for forged in ("", "{}", "[]", "\x00", good[:-9], good.replace("[true,false]", "[true]"),
                   good.replace("42", "-42"), good.replace("tune-0", "x" * RESULT_BYTES_MAX)):  # fmt: skip
        forge(result=forged)
    forge(text=good)
    client.execute_command("XADD", keys.results("s"), "*", "result", b"\xff\xfe")
    assert results.read() == []
    for number in range(READ_COUNT_MAX):
        forge(result=f"{number}")
    results.record(scored(1))
    [(position, found)] = results.read()
    assert found == scored(1)
    assert results.read(after=position) == []

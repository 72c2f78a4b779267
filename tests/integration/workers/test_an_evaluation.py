"""One evaluation, end to end: the real openai client, Redis and sandbox, against the stand-in."""

from typing import Any

import pytest

from rehearsal import RehearsalServer
from study.messages import (
    ConfigFailed,
    EvaluateExample,
    Fatal,
    Scored,
    Unaffordable,
    Unevaluated,
)
from study.results import Results
from study.studies import Source, StudyStatus
from workers.evaluate import UnknownWork, evaluate_example

from .conftest import Bench, MakeBench


def only(bench: Bench) -> Any:
    """The one result recorded."""
    [result] = bench.results
    return result


def test_an_evaluation_buys_runs_and_records_its_answers(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    words = bench.evaluate(draws=4)
    result = only(bench)
    assert isinstance(result, Scored)
    assert result.passes is not None
    assert words.startswith(f"{sum(result.passes)}/4 pass, $0.")
    assert bench.spent == server.books().billed_nanodollars == result.paid.cost_nanodollars
    assert bench.reserved == bench.in_doubt == 0


def test_a_repeat_finds_the_result_and_buys_nothing(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    bench.evaluate()
    assert bench.evaluate() == "already recorded"
    assert server.books().calls == 1
    assert len(bench.results) == 1


def test_a_result_that_was_lost_is_scored_again_from_what_was_paid_for(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    bench.evaluate()
    first = only(bench)
    bench.site.redis.delete(*bench.site.redis.keys("*results*"))
    bench.evaluate()
    assert only(bench) == first
    assert server.books().calls == 1


def test_right_answers_pass_and_wrong_ones_do_not(
    make_bench: MakeBench, server: RehearsalServer, problems: list[dict[str, Any]]
) -> None:
    """Each answer's verdict is that of the problem's own tests on it."""
    bench = make_bench(params={"temperature": 1.0})
    for example in range(6):
        bench.evaluate(example=f"tune-{example}", draws=8)
    passes = [p for result in bench.results for p in getattr(result, "passes", None) or []]
    assert len(passes) == 48
    assert 0 < sum(passes) < 48


def test_the_completions_api_works_the_same(make_bench: MakeBench, server: RehearsalServer) -> None:
    bench = make_bench(
        endpoint={"api": "completions"}, params={"temperature": 0.7, "stop": ["\nclass", "\ndef"]}
    )
    bench.evaluate(draws=8)
    assert sum(only(bench).passes) > 0
    assert bench.spent == server.books().billed_nanodollars


def test_a_metric_that_the_coordinator_measures_is_left_to_it(make_bench: MakeBench) -> None:
    bench = make_bench(
        scored_by_coordinator=True, metric={"name": "votes", "evaluator": "no.such:thing"}
    )
    assert bench.evaluate().startswith("4 answers unscored")
    assert only(bench).unscored
    assert len(bench.paid_calls.texts(bench.arm.key, "tune-0")) == 4


def test_a_users_function_judges_all_answers_so_far(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "my_metrics.py").write_text(
        "def size(responses, **example):\n"
        "    assert 'def check' in example['test']\n"
        "    return {'answers': len(responses), 'other': 0}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    bench = make_bench(metric={"name": "answers", "evaluator": "my_metrics:size"})
    bench.evaluate(draws=4)
    assert only(bench).curve == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    bench.evaluate(first_draw=4, draws=2)
    assert bench.results[-1].curve[6] == 6.0  # type: ignore[union-attr, index]


def test_of_a_users_function_that_counts_good_answers_each_draw_is_told(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "counting_metrics.py").write_text(
        "def judge(responses, **example):\n"
        "    missed = all(len(response) % 2 for response in responses)\n"
        "    return {'missed': missed}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    metric = {"name": "missed", "mode": "min", "evaluator": "counting_metrics:judge"}
    bench = make_bench(metric=metric)
    bench.evaluate(draws=4)
    said = bench.evaluate(first_draw=4, draws=8)
    result = bench.results[-1]
    assert isinstance(result, Scored)
    texts = list(bench.paid_calls.texts(bench.arm.key, "tune-0").values())
    good = [len(text) % 2 == 0 for text in texts]
    assert result.passes == good[4:]
    assert "success" in result.counts_as
    assert result.curve is not None
    assert result.curve[12] == float(not any(good))
    assert said.startswith(f"{sum(good[4:])}/8 pass")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise KeyError('answer')", "KeyError: 'answer'"),
        ("return {'other': 1}", "no metric 'answers', but: other"),
        ("return 7", "no metric 'answers', but: 7"),
        ("return {'answers': 'many'}", "could not convert"),
        ("return {'answers': float('nan')}", "not a finite number"),
    ],
)
def test_a_users_function_that_fails_fails_its_examples_score_only(
    body: str, told: str, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "bad_metrics.py").write_text(f"def judge(responses, **example):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "bad_metrics", raising=False)
    bench = make_bench(metric={"name": "answers", "evaluator": "bad_metrics:judge"})
    assert "eval_func raised" in bench.evaluate()
    result = only(bench)
    assert told in result.error
    assert (result.passes, result.curve) == (None, {})
    assert bench.spent == result.paid.cost_nanodollars > 0


def test_a_users_function_that_hangs_fails_its_examples_score_and_the_slot_is_free_again(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "slow_metrics.py").write_text(
        "def judge(responses, **example):\n    while True:\n        pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    metric = {"name": "answers", "evaluator": "slow_metrics:judge", "timeout_s": 0.5}
    bench = make_bench(metric=metric)
    assert "eval_func raised" in bench.evaluate(draws=1)
    assert "did not return within 0.5 s" in only(bench).error
    assert bench.reserved == 0


def test_a_users_function_that_is_not_here_stops_the_study_before_a_cent(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench(metric={"name": "x", "evaluator": "no_such_package.metrics:judge"})
    bench.evaluate()
    result = only(bench)
    assert isinstance(result, Fatal)
    assert "No module named 'no_such_package'" in result.reason
    assert server.books().calls == 0


def test_a_study_that_is_stopping_buys_nothing(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    bench.studies.set_status(bench.record.id, StudyStatus.STOPPING)
    bench.evaluate()
    assert isinstance(only(bench), Unevaluated)
    assert server.books().calls == 0


def test_what_the_budget_cannot_bear_is_not_bought(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench(limit=1000)
    assert bench.evaluate() == "unaffordable"
    result = only(bench)
    assert isinstance(result, Unaffordable)
    assert result.worst_case_nanodollars > 1000
    assert server.books().calls == bench.spent == bench.reserved == 0
    bench.ledger.set_limit(bench.record.account, 10**9)
    assert "pass" in bench.evaluate()


def test_a_fleet_limit_binds_too(make_bench: MakeBench, server: RehearsalServer) -> None:
    bench = make_bench()
    bench.ledger.open(
        "rehearsals", limit=1000
    )  # above all rehearsals, as "fleet" is above the rest
    assert bench.evaluate() == "unaffordable"
    assert server.books().calls == 0


def test_without_containers_only_a_rehearsals_own_programs_run(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    from sandbox import ProcessSandbox

    processes = ProcessSandbox()
    bench = make_bench().with_site(sandbox=lambda _: processes)
    assert "pass" in bench.evaluate()
    forged = bench.with_site(seal_key=b"another key")
    forged.evaluate(example="tune-1")
    result = bench.results[-1]
    assert isinstance(result, Fatal)
    assert "no container engine" in result.reason
    processes.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"study": "no-such-study"},
        {"trial": 7},
        {"arm": "0123456789abcdef"},
        {"example": "tune-999"},
    ],
)
def test_a_forged_message_does_nothing(
    wrong: dict[str, Any], make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    before = sorted(bench.site.redis.keys("*"))
    message = EvaluateExample(**{**bench.message().model_dump(), **wrong})
    with pytest.raises(UnknownWork):
        evaluate_example(message, bench.site)
    assert sorted(bench.site.redis.keys("*")) == before
    assert server.books().calls == 0


def test_the_refusal_of_an_unrecorded_cell_is_in_the_endpoints_words(
    make_bench: MakeBench, problems: list[dict[str, Any]]
) -> None:
    unknown = {**problems[0], "prompt": "def nothing():\n", "entry_point": "nothing"}
    bench = make_bench(rows=[unknown])
    bench.evaluate()
    result = only(bench)
    assert isinstance(result, ConfigFailed)
    assert result.reason.startswith("404: No problem that the rehearsal endpoint knows")
    assert bench.spent == bench.reserved == 0
    assert Results(bench.site.redis, bench.record.id).recorded(result.evaluation)


def test_a_real_model_without_a_key_stops_the_study(make_bench: MakeBench) -> None:
    from workers import llm

    bench = make_bench(source=Source.MODEL)

    def keyless(_: object) -> Any:
        spec = bench.record.spec.endpoint
        llm.key_of(spec, base_url=None, source=Source.MODEL, environ={})

    bench.with_site(endpoint=keyless).evaluate()
    result = only(bench)
    assert isinstance(result, Fatal)
    assert "OPENAI_API_KEY is not set" in result.reason

"""The Python API, as a notebook uses it: tune, create, extract_text, test, against the rehearsal endpoint."""

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bursar
from rehearsal import RehearsalServer, Surface, Synthetic

pytestmark = [pytest.mark.docker, pytest.mark.slow]

MODEL = "gpt-5.4-nano"
KEY = "sk-rehearsed"


def politely(row: Any) -> str:
    """A prompt that only this process can make."""
    return f"Please complete this function, named {row['entry_point']}:\n\n{row['prompt']}"


def how_long(responses: list[str], prompt: str, entry_point: str, **row: Any) -> dict[str, float]:
    """A metric that only this process knows; it gets the columns of the data and no others."""
    assert set(row) == {"task_id", "canonical_solution", "test"}
    named = [entry_point in text for text in responses]
    return {"named": sum(named) / len(named), "characters": float(sum(map(len, responses)))}


@pytest.fixture(scope="module")
def rows(repository: Path) -> list[dict[str, Any]]:
    lines = (repository / "examples" / "starter.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of one's own, without keys and clusters."""
    path = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for name in ("BURSAR_REDIS_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
            patch.delenv(name, raising=False)
        yield path


@pytest.fixture(scope="module")
def tuned(folder: Path, rows: list[dict[str, Any]]) -> tuple[dict[str, Any], bursar.Analysis]:
    with bursar.rehearsal():
        config, analysis = bursar.tune(
            data=rows[:3],
            metric="named",
            mode="max",
            eval_func=how_long,
            log_file_name="trials.jsonl",
            inference_budget=0.05,
            optimization_budget=0.5,
            num_samples=2,
            model=MODEL,
            prompt=[politely],
            stop=["\nclass", "\ndef"],
            n=bursar.randint(1, 4),
            max_tokens=bursar.choice([150, 300]),
            temperature=bursar.uniform(0, 1),
            presence_penalty=0,
            limits={"concurrency": 4},
        )
    assert config is not None
    return config, analysis


def test_tune_returns_a_config_that_holds_the_users_own_prompt(
    tuned: tuple[dict[str, Any], bursar.Analysis],
) -> None:
    config, _ = tuned
    assert config["prompt"] is politely
    assert config["model"] == MODEL
    assert config["max_tokens"] in (150, 300)
    assert config["stop"] == ["\nclass", "\ndef"]
    assert config["presence_penalty"] == 0
    assert 1 <= config["n"] <= 3
    assert 0 <= config["temperature"] <= 1


def test_the_analysis_says_what_was_tried(tuned: tuple[dict[str, Any], bursar.Analysis]) -> None:
    config, analysis = tuned
    assert analysis.best_config == config
    assert 0 <= analysis.best_result["named"] <= 1
    assert 0 < analysis.best_result["inference_cost"] <= 0.05
    assert [trial.trial_id for trial in analysis.trials] == [0, 1]
    assert all(trial.config["prompt"] is politely for trial in analysis.trials)
    assert analysis.best_trial in analysis.trials
    assert analysis.report["rehearsal"] is True
    assert 0 < analysis.report["budget"]["spent_usd"] <= 0.5


def test_every_finished_trial_has_a_line_in_the_log(
    tuned: tuple[dict[str, Any], bursar.Analysis], folder: Path
) -> None:
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert sorted(line["trial"] for line in lines) == [0, 1]
    assert {line["state"] for line in lines} <= {"COMPLETE", "PRUNED", "FAILED"}


def test_create_and_extract_text(
    tuned: tuple[dict[str, Any], bursar.Analysis], rows: list[dict[str, Any]]
) -> None:
    config, _ = tuned
    with bursar.rehearsal():
        response = bursar.create(context=rows[1], **{**config, "n": 3})
    texts = bursar.extract_text(response)
    assert len(texts) == 3
    assert response.usage.prompt_tokens > 0
    assert response.cost is not None
    assert response.cost > 0
    assert response.config["prompt"] is politely


def test_test_takes_metrics_together_as_it_is_told(
    tuned: tuple[dict[str, Any], bursar.Analysis], rows: list[dict[str, Any]]
) -> None:
    config, _ = tuned
    with bursar.rehearsal():
        total, results, answers = bursar.test(
            rows[3:9], config, return_responses_and_per_instance_result=True
        )
        median = bursar.test(rows[3:9], agg_method="median", **config)
        chosen = bursar.test(rows[3:9], config, eval_func=how_long, agg_method={"characters": max})
    assert len(results) == len(answers) == 6
    assert total["named"] == pytest.approx(statistics.fmean(r["named"] for r in results))
    assert total["inference_cost"] == pytest.approx(total["cost"] / 6)
    assert set(median) == {"named", "characters", "cost", "inference_cost"}
    assert set(chosen) == {"characters", "cost", "inference_cost"}


def test_python_tests_runs_answers_in_the_sandbox_and_remembers_verdicts(
    rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = rows[0]
    right = row["prompt"] + row["canonical_solution"]
    answers = [f"```python\n{right}```", row["canonical_solution"], "    return 'wrong'\n"]
    found = bursar.python_tests(answers, **row)
    assert found["passes"] == 2
    assert found["success"] == 1
    assert found["pass_rate"] == pytest.approx(2 / 3)
    assert found["expected_success"] == pytest.approx(1 - (1 / 3) ** 3)

    def must_not_run(*arguments: Any) -> Any:
        raise AssertionError(arguments)

    monkeypatch.setattr("bursar.verdicts._run", must_not_run)
    assert bursar.python_tests(answers[1:], **row)["passes"] == 1


def test_an_endpoint_of_ones_own_is_tuned_on_with_a_key_and_a_price(
    folder: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a rehearsal to bursar: a real endpoint's key, bill and answers, run in containers."""
    problems = [
        {
            "id": row["task_id"],
            "prompt": row["prompt"],
            "solution": row["canonical_solution"],
            "entry_point": row["entry_point"],
        }
        for row in rows
    ]
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with RehearsalServer(
        problems=problems,
        models={"mine": ("1", "2")},
        source=Synthetic(Surface(seed=1)),
        api_key=KEY,
    ) as server:
        where: dict[str, Any] = {
            "endpoint": {"base_url": server.base_url},
            "price": [{"model": "mine", "input": 1.0, "output": 2.0}],
        }
        config, analysis = bursar.tune(
            data=rows[:2],
            metric="success",
            eval_func=bursar.python_tests,
            inference_budget=0.01,
            optimization_budget=0.05,
            model="mine",
            n=2,
            max_tokens=300,
            limits={"concurrency": 4},
            **where,
        )
        assert config is not None
        spent = analysis.report["budget"]["spent_usd"]
        assert float(server.books().billed_usd) == pytest.approx(spent)
        response = bursar.create(context=rows[2], **config)
        assert len(response.choices) == config["n"]
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
        with pytest.raises(bursar.CredentialsError):
            bursar.create(context=rows[2], **config)
    assert analysis.report["rehearsal"] is False


def test_what_is_wrong_is_said_before_anything_is_asked(
    folder: Path, rows: list[dict[str, Any]]
) -> None:
    tune: dict[str, Any] = {"metric": "success", "optimization_budget": 1, "inference_budget": 1}
    with bursar.rehearsal():
        with pytest.raises(bursar.DataError, match="has no such column"):
            bursar.tune(rows[:2], prompt="{nothing}", **tune)
        with pytest.raises(bursar.SpecError, match="no known price"):
            bursar.tune(rows[:2], model="text-davinci-9", **tune)
        with pytest.raises(bursar.SpecError, match="has no examples"):
            bursar.tune([], **tune)
        with pytest.raises(bursar.BudgetTooSmall):
            bursar.tune(rows[:2], **{**tune, "optimization_budget": 1e-6})
        with pytest.raises(bursar.SpecError, match="log_file_name"):
            bursar.tune(rows[:2], log_file_name="no/such/folder/x.log", **tune)
    with pytest.raises(bursar.CredentialsError, match="OPENAI_API_KEY"):
        bursar.tune(rows[:2], **tune)
    with pytest.raises(bursar.CredentialsError, match="OPENAI_API_KEY"):
        bursar.create({"prompt": "x"}, model=MODEL, max_tokens=9)

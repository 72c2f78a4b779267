"""The study file: what it accepts, and that every mistake names field, value and remedy."""

import copy
import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.errors import SpecError
from study.spec import StudySpec

SMALL: dict[str, Any] = {
    "name": "s",
    "data": {"path": "rows.jsonl"},
    "budget": {"optimization_usd": 4.0, "inference_usd": 0.1},
    "space": {"model": ["m"]},
}
WHOLE = """
name = "humaneval"
[data]
path = "openai/openai_humaneval"
split = "test"
shuffle_seed = 41
tune_size = 20
[metric]
name = "expected_success"
mode = "max"
evaluator = "python_tests"
[budget]
optimization_usd = 4.0
inference_usd = 0.1
trials = -1
[space]
model = ["a-model"]
prompt = ["{prompt}", "# Python 3{prompt}", "Complete the following Python function:{prompt}"]
stop = [["\\nclass", "\\ndef", "\\nif", "\\nprint"]]
temperature_or_top_p = true
max_tokens = {low = 50, high = 1000, log = true}
n = {low = 1, high = 100}
[endpoint]
api = "chat"
base_url = "http://gpu-7:8000/v1"
timeout_s = 60
[limits]
requests_per_minute = 500
tokens_per_minute = 200000
concurrency = 32
[[price]]
model = "a-model"
input = 0.15
output = 0.60
[sandbox]
timeout_s = 3.0
memory_mb = 256
packages = ["numpy"]
runtime = "runsc"
[run]
seed = 0
"""


def with_(changes: dict[str, Any]) -> dict[str, Any]:
    """The small study, with `section.key` set; None takes the key away."""
    table = copy.deepcopy(SMALL)
    for path, value in changes.items():
        *sections, key = path.split(".")
        place = table
        for section in sections:
            place = place.setdefault(section, {})
        if value is None:
            del place[key]
        else:
            place[key] = value
    return table


def refusal(changes: dict[str, Any]) -> SpecError:
    with pytest.raises(SpecError) as caught:
        StudySpec.parse(with_(changes))
    return caught.value


def test_the_file_of_the_design_parses_with_every_key_it_shows() -> None:
    spec = StudySpec.parse(tomllib.loads(WHOLE))
    assert spec.endpoint.timeout_s == 60.0
    assert spec.price[0].output == 0.6
    assert spec.sandbox.packages == ["numpy"]


def test_a_spec_kept_in_redis_is_the_spec_that_was_given() -> None:
    spec = StudySpec.parse(tomllib.loads(WHOLE))
    again = StudySpec.parse(json.loads(spec.model_dump_json()))
    assert again == spec
    assert again.search_space == spec.search_space


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"name": None},
            'name is missing. Add it at the top of the file, for example name = "humaneval".',
        ),
        (
            {"budget.inference_usd": None},
            "budget.inference_usd is missing. Add it under [budget], for example "
            "inference_usd = 0.1.",
        ),
        (
            {"budget": None},
            "budget is missing. Add the table [budget] with, for example, "
            "optimization_usd = 4.0 and inference_usd = 0.1.",
        ),
        (
            {"price": [{"model": "m", "input": 1.0}]},
            "price.0.output is missing. Add it under [[price]], for example output = 0.6.",
        ),
        (
            {"limits.token_per_minute": 5},
            "limits.token_per_minute = 5: unknown key. Mend its name (did you mean "
            "tokens_per_minute?) or remove it; [limits] takes concurrency, requests_per_minute, "
            "tokens_per_minute.",
        ),
        (
            {"budget.trials": 2.5},
            "budget.trials = 2.5: input should be a valid integer. Write a whole number, "
            "without quotes.",
        ),
        (
            {"sandbox.image": "mine:1", "sandbox.packages": ["numpy"]},
            "sandbox.packages = ['numpy']: can't be put into an image of your own ('mine:1'). Install "
            "them in that image, or leave sandbox.image out.",
        ),
        (
            {"sandbox.packages": ["numpy", ""]},
            "sandbox.packages.1 = '': is empty. Write a name, or leave it out.",
        ),
        (
            {"metric.name": "accuracy"},
            "metric.name = 'accuracy': python_tests has no such metric. Choose one of success, "
            "expected_success, pass_rate.",
        ),
    ],
)
def test_a_mistake_is_told_in_sentences(changes: dict[str, Any], message: str) -> None:
    assert str(refusal(changes)) == message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a b"),
        ("name", "x" * 64),
        ("name", ""),
        ("data.path", ""),
        ("data.path", 3),
        ("data.tune_size", 0),
        ("data.shuffle_seed", -1),
        ("budget.optimization_usd", 0),
        ("budget.optimization_usd", -1.0),
        ("budget.optimization_usd", float("nan")),
        ("budget.optimization_usd", float("inf")),
        ("budget.optimization_usd", "4"),
        ("budget.inference_usd", 1e7),
        ("budget.inference_usd", True),
        ("budget.inference_usd", 9e-10),
        ("budget.trials", -2),
        ("budget.trials", 0),
        ("metric.mode", "maximum"),
        ("metric.evaluator", "no_such_evaluator"),
        ("metric.evaluator", "package.module:"),
        ("metric.evaluator", ":function"),
        ("endpoint.api", "chats"),
        ("endpoint.timeout_s", 0),
        ("endpoint.base_url", "gpu-7:8000"),
        ("endpoint.base_url", "ftp://gpu-7"),
        ("endpoint.base_url", "http://[::1"),
        ("endpoint.base_url", "http://gpu-7:99999999"),
        ("limits.concurrency", 0),
        ("limits.requests_per_minute", 0),
        ("sandbox.memory_mb", 1),
        ("sandbox.packages", "numpy"),
        ("sandbox.image", ""),
        ("sandbox.runtime", " "),
        ("run.seed", -1),
        ("space", 3),
        ("price", {}),
    ],
)
def test_a_wrong_value_is_named_with_its_field_and_a_remedy(field: str, value: object) -> None:
    error = refusal({field: value})
    assert error.field == field
    assert repr(error.value) == repr(value)
    assert len(error.remedy) > 10
    assert error.exit_code == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint.api_key": "sk-verysecret"},
        {"api_key": "sk-verysecret"},
        {"endpoint.token": "sk-verysecret"},
        {"space.api_key": "sk-verysecret"},
        {"space.extra_headers": {"Authorization": "sk-verysecret"}},
        {"endpoint.base_url": "https://me:sk-verysecret@host/v1"},
        {"endpoint.base_url": "https://host:port@sk-verysecret/v1"},
        {"endpoint.base_url": "https://host/v1?key=sk-verysecret"},
    ],
)
def test_a_key_in_the_file_is_refused_and_never_shown(changes: dict[str, Any]) -> None:
    error = refusal(changes)
    assert "verysecret" not in str(error)
    assert "verysecret" not in repr(error.value)


def test_azure_needs_its_address_and_version() -> None:
    assert refusal({"endpoint.provider": "azure"}).field == "endpoint.base_url"
    address = {"endpoint.provider": "azure", "endpoint.base_url": "https://x.openai.azure.com"}
    assert refusal(address).field == "endpoint.api_version"
    StudySpec.parse(with_({**address, "endpoint.api_version": "2024-10-21"}))


def test_a_model_with_two_prices_is_refused() -> None:
    price = {"model": "m", "input": 1.0, "output": 1.0}
    assert refusal({"price": [price, {**price, "output": 2.0}]}).field == "price"


def test_the_users_own_metric_may_have_any_name() -> None:
    spec = StudySpec.parse(with_({"metric.evaluator": "a.b:f", "metric.name": "accuracy"}))
    assert spec.metric.name == "accuracy"


@given(cents=st.integers(1, 100_000_000))
def test_a_budget_is_exactly_what_was_written(cents: int) -> None:
    usd = float(Decimal(cents) / 100)
    spec = StudySpec.parse(with_({"budget.optimization_usd": usd, "budget.inference_usd": usd}))
    assert spec.budget.optimization_nanodollars == cents * 10_000_000
    assert spec.budget.inference_nanodollars == cents * 10_000_000


def test_a_file_that_is_not_there_or_no_toml_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="can't be read"):
        StudySpec.load(tmp_path / "none.toml")
    for text in (b"name = ", b"\xff\xfe", b"x = 1\nx = 2"):
        (tmp_path / "bad.toml").write_bytes(text)
        with pytest.raises(SpecError, match="is not TOML"):
            StudySpec.load(tmp_path / "bad.toml")
    with pytest.raises(SpecError, match="can't be read"):
        StudySpec.load(tmp_path / "a\0b.toml")
    (tmp_path / "good.toml").write_text(WHOLE)
    assert StudySpec.load(tmp_path / "good.toml").name == "humaneval"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 100_000, "nested too deeply"),
        (WHOLE + "\n[space." + ".".join("a" * 20_000) + "]\n", "nested too deeply"),
        ("x = " + "1" * 5_000, "is not TOML"),
    ],
    ids=["brackets", "dots", "digits"],
)
def test_a_file_that_is_out_of_all_measure_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(SpecError, match=said):
        StudySpec.load(tmp_path / "study.toml")


NUMBERS = st.one_of(
    st.integers(), st.sampled_from([10**400, -(10**400)]), st.floats(), st.booleans()
)
LEAVES = st.one_of(
    NUMBERS,
    st.none(),
    st.text(max_size=8),
    st.sampled_from(["{prompt}", "{a.b}", "{", "user", "chat", "http://[", "-", "m:f"]),
    st.dates(),
)
KEYS = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        ["low", "high", "log", "integer", "choices", "column", "role", "content", "temperature",
         "top_p", "model", "input", "output", "max_tokens"]
    ),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [f"space.{name}" for name in
     ("model", "prompt", "messages", "temperature", "top_p", "temperature_or_top_p", "n",
      "max_tokens", "stop", "best_of", "presence_penalty", "logit_bias", "extra_body", "tempratur")]
    + ["space", "data", "data.path", "data.shuffle_seed", "metric", "metric.evaluator", "budget",
       "budget.trials", "budget.inference_usd", "endpoint", "endpoint.base_url", "endpoint.api",
       "limits", "limits.concurrency", "price", "sandbox", "sandbox.packages", "run.seed", "name",
       "other"]
)  # fmt: skip


@given(changes=st.dictionaries(PLACES, VALUES, min_size=1, max_size=3))
def test_whatever_is_written_the_answer_is_a_study_or_a_spec_error(
    changes: dict[str, Any],
) -> None:
    table = copy.deepcopy(SMALL)
    for path, value in sorted(changes.items()):
        section, _, key = path.partition(".")
        if key and isinstance(table.get(section, {}), dict):
            table.setdefault(section, {})[key] = value
        elif not key:
            table[section] = value
    try:
        spec = StudySpec.parse(table)
    except SpecError as refused:
        spec, told = None, f"{refused.field} {refused.remedy}"
    if spec is None:
        assert len(told) > 10
    else:
        again = StudySpec.parse(json.loads(spec.model_dump_json()))
        assert again.search_space == spec.search_space

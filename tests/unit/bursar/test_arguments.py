"""The Python API's arguments, as the study that they mean."""

from typing import Any

import pytest

import bursar
from bursar import arguments
from study.domains import Choice, Range
from study.errors import SpecError

ROWS = [{"prompt": "def f():\n", "test": "def check(f): pass", "entry_point": "f"}]
PRICE = [{"model": "m", "input": 1.0, "output": 2.0}]


def of_tune(**config: Any) -> arguments.Arguments:
    return arguments.of_tune(
        ROWS,
        metric="success",
        mode="max",
        eval_func=None,
        inference_budget=0.1,
        optimization_budget=4,
        num_samples=-1,
        config=config,
    )


def test_the_seed_call_of_flaml_means_the_same_study() -> None:
    read = arguments.of_tune(
        ROWS,
        metric="expected_success",
        mode="max",
        eval_func=bursar.python_tests,
        inference_budget=0.1,
        optimization_budget=4,
        num_samples=-1,
        config={"prompt": ["{prompt}", "# Python 3{prompt}"], "stop": ["\nclass", "\ndef"]},
    )
    spec = read.spec
    assert (spec.metric.name, spec.metric.mode, spec.metric.evaluator) == (
        "expected_success",
        "max",
        "python_tests",
    )
    assert (spec.budget.optimization_usd, spec.budget.inference_usd) == (4, 0.1)
    assert spec.budget.trials == -1
    assert spec.search_space.templates == ("{prompt}", "# Python 3{prompt}")
    assert spec.search_space.params["stop"] == Choice(values=(["\nclass", "\ndef"],))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (7, Choice(values=(7,))),
        ([1, 2], Choice(values=(1, 2))),
        ((1, 2), Choice(values=(1, 2))),
        (bursar.choice([1, 2]), Choice(values=(1, 2))),
        ({"low": 1, "high": 9}, Range(low=1, high=9, integer=True)),
        (bursar.randint(1, 10), Range(low=1, high=9, integer=True)),
        (bursar.lograndint(1, 10), Range(low=1, high=9, log=True, integer=True)),
    ],
)
def test_a_domain_has_many_spellings(given: Any, meant: Any) -> None:
    assert of_tune(max_tokens=given).spec.search_space.params["max_tokens"] == meant


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (bursar.uniform(0, 1), Range(low=0, high=1)),
        (bursar.loguniform(0.5, 1), Range(low=0.5, high=1, log=True)),
        (bursar.choice([0, 0.5]), Choice(values=(0, 0.5))),
    ],
)
def test_a_continuous_domain_stays_continuous(given: Any, meant: Any) -> None:
    assert of_tune(temperature=given).spec.search_space.temperature == meant


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("x", (["x"],)),
        (["x", "y"], (["x", "y"],)),
        ([["x"], ["y", "z"]], (["x"], ["y", "z"])),
        (bursar.choice(["x", "y"]), (["x"], ["y"])),
        (bursar.choice([None, "y"]), (None, ["y"])),
    ],
)
def test_stop_is_a_string_a_list_or_choices(given: Any, meant: Any) -> None:
    assert of_tune(stop=given).spec.search_space.params["stop"] == Choice(values=meant)


def test_any_parameter_of_the_api_is_a_constant_or_a_domain() -> None:
    params = of_tune(presence_penalty=[0, 0.5], user="me", logit_bias={"50256": -100})
    domains = params.spec.search_space.params
    assert domains["presence_penalty"] == Choice(values=(0, 0.5))
    assert domains["user"] == Choice(values=("me",))
    assert domains["logit_bias"] == Choice(values=({"50256": -100},))


def test_tables_of_the_study_file_are_arguments_too() -> None:
    read = of_tune(
        model="m", price=PRICE, endpoint={"api": "completions"}, best_of=3, run={"seed": 5}
    )
    assert read.spec.endpoint.api == "completions"
    assert read.spec.run.seed == 5
    assert read.spec.search_space.params["best_of"] == Choice(values=(3,))


def test_a_config_says_where_it_is_asked_so_that_create_needs_nothing_more() -> None:
    read = of_tune(model="m", price=PRICE, endpoint={"api": "completions"})
    shown = read.public({"model": "m", "prompt": "{prompt}", "max_tokens": 9, "n": 1})
    assert shown["endpoint"] == {"api": "completions"}
    assert arguments.of_request(shown).spec.endpoint.api == "completions"


def test_a_callable_comes_back_as_itself() -> None:
    def ask(row: Any) -> str:
        return "Solve: " + row["prompt"]

    read = of_tune(prompt=["{prompt}", ask])
    column = read.prompts.templates[1]["column"]
    assert read.prompts.rows_with_columns(ROWS)[0][column] == "Solve: def f():\n"
    assert read.public({"prompt": f"{{{column}}}"})["prompt"] is ask


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"prompt": []}, "space.prompt"),
        ({"prompt": "{0.real}"}, "space.prompt[0]"),
        ({"temperature": 0.5, "top_p": 0.5}, "space.temperature"),
        ({"n": 0}, "space.n"),
        ({"max_tokens": "many"}, "space.max_tokens"),
        ({"prompt": "{prompt}", "messages": [{"role": "user", "content": "x"}]}, "space.messages"),
    ],
)
def test_a_wrong_parameter_is_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        of_tune(**config)
    assert caught.value.field.startswith(field)


def test_a_tuning_that_nothing_bounds_is_refused() -> None:
    with pytest.raises(SpecError, match="nothing bounds the tuning"):
        arguments.of_tune(
            ROWS, metric="success", mode="max", eval_func=None, inference_budget=None,
            optimization_budget=None, num_samples=-1, config={},
        )  # fmt: skip


def test_an_evaluator_is_a_function_a_reference_or_the_built_in() -> None:
    assert arguments.evaluator_of(None) == "python_tests"
    assert arguments.evaluator_of(bursar.python_tests) == "python_tests"
    assert arguments.evaluator_of("mine.metrics:score") == "mine.metrics:score"
    assert arguments.evaluator_of(lambda responses, **_: {}) == arguments.IN_THIS_PROCESS
    with pytest.raises(SpecError, match="eval_func"):
        arguments.evaluator_of(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["model", "max_tokens"])
def test_a_request_must_say_what_it_asks_for(name: str) -> None:
    config = {"model": "m", "max_tokens": 9, "price": PRICE}
    del config[name]
    with pytest.raises(SpecError) as caught:
        arguments.of_request(config)
    assert caught.value.field == name


@pytest.mark.parametrize(
    "choice",
    [{"n": [1, 2]}, {"temperature": bursar.uniform(0, 1)}, {"prompt": ["a", "b"]},
     {"max_tokens": bursar.randint(1, 9)}, {"presence_penalty": [0, 1]}],
)  # fmt: skip
def test_a_request_takes_constants_only(choice: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="one value"):
        arguments.of_request({"model": "m", "max_tokens": 9, "price": PRICE, **choice})


def test_a_request_without_temperature_sends_none() -> None:
    space = arguments.of_request({"model": "m", "max_tokens": 9}).spec.search_space
    assert (space.temperature, space.top_p, space.n) == (None, None, (1,))


@pytest.mark.parametrize(
    "name", ["config_list", "filter_func", "raise_error", "allow_format_str_template"]
)
@pytest.mark.parametrize("read", [of_tune, lambda **config: arguments.of_request(config)])
def test_what_only_flaml_takes_is_refused_and_not_sent(read: Any, name: str) -> None:
    given = {name: [{"api_key": "sk-verysecret"}]}
    with pytest.raises(SpecError, match=f"{name} is an argument of FLAML only") as caught:
        read(model="m", max_tokens=9, price=PRICE, **given)
    assert "verysecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "num_samples", "said"),
    [
        (ROWS, 0, "num_samples = 0: leaves nothing to do"),
        (None, 1, "data = None: is no list of rows"),
        (iter(ROWS), 1, "is no list of rows"),
        ([["prompt"]], 1, "row 0 is no table"),
    ],
)
def test_a_tuning_of_nothing_is_refused(data: Any, num_samples: int, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        arguments.of_tune(
            data, metric="success", mode="max", eval_func=None, inference_budget=None,
            optimization_budget=1.0, num_samples=num_samples, config={},
        )  # fmt: skip

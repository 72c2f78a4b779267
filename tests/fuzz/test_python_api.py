"""What `tune`, `create` and `test` may be called with: an error that names the argument, or a study."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bursar import arguments
from bursar.cli.reported import Unexpected, translated
from study.errors import BursarError

from .odd import VALUES, mutated, nested

RIGHT: dict[str, Any] = {
    "data": [{"prompt": "p", "k": 1}, {"prompt": "q", "k": 2}],
    "metric": "success",
    "mode": "max",
    "eval_func": "package.module:function",
    "inference_budget": 0.1,
    "optimization_budget": 1.0,
    "num_samples": 4,
    "config": {
        "model": ["gpt-5.4-nano"],
        "prompt": ["{prompt}"],
        "max_tokens": {"low": 1, "high": 9},
        "n": [1, 2],
        "stop": ["x"],
        "temperature": 0.5,
        "endpoint": {"timeout_s": 5.0},
        "price": [{"model": "gpt-5.4-nano", "input": 1.0, "output": 1.0}],
        "limits": {"concurrency": 2},
    },
}
REQUEST = {"model": "m", "prompt": "{p}", "max_tokens": 5, "n": 1, "temperature": 0.1, "stop": "x"}
ODD = st.one_of(
    VALUES,
    st.sampled_from(
        [
            object(),
            print,
            int,
            {1, 2},
            b"x",
            10**5000,
            -(10**5000),
            range(3),
            3 + 4j,
            ("a", "b"),
            {1: 2},
        ]
    ),
)


def told(error: BursarError) -> None:
    assert not isinstance(translated(error), Unexpected)
    assert error.exit_code in (2, 3)


@given(mutated(RIGHT, values=ODD))
def test_tune(given_: Any) -> None:
    if not isinstance(given_, dict) or set(given_) != set(RIGHT):
        return
    config = given_["config"]
    if not (isinstance(config, dict) and all(isinstance(name, str) for name in config)):
        return  # **config: Python itself refuses others
    try:
        arguments.of_tune(given_.pop("data"), **given_)
    except BursarError as error:
        told(error)


@given(mutated(REQUEST, values=ODD))
@example({**REQUEST, "stop": {"choices": 1}})
@example({**REQUEST, "prompt": {"choices": 1}})
@example({**REQUEST, "prompt": {"choices": {}}})
@example({**REQUEST, "n": 10**5000})
@example({**REQUEST, "temperature": [10**5000]})
def test_a_request(config: Any) -> None:
    if not isinstance(config, dict):
        return
    try:
        arguments.of_request(config)
    except BursarError as error:
        told(error)


@pytest.mark.parametrize("depth", [300, 900, 5000, 100_000])
@pytest.mark.parametrize("name", ["stop", "top_k", "prompt", "messages", "model", "n", "endpoint"])
def test_what_is_nested_without_end(depth: int, name: str) -> None:
    config = {**REQUEST, name: nested(depth)}
    if name == "messages":
        del config["prompt"]
    for call in (
        lambda: arguments.of_request(config),
        lambda: arguments.of_tune(**{**RIGHT, "config": {**RIGHT["config"], name: nested(depth)}}),
        lambda: arguments.of_tune(**{**RIGHT, "data": [{"prompt": nested(depth)}]}),
    ):
        try:
            call()
        except BursarError as error:
            told(error)

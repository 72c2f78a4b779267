"""The `[space]` table, form by form."""

from typing import Any

import pytest

from study import space
from study.errors import SpecError
from study.space import Choice, Range


def parse(api: str = "chat", **table: Any) -> space.SearchSpace:
    return space.parse({"model": "m", **table}, api=api)


def test_an_empty_table_has_good_defaults() -> None:
    found = space.parse({}, api="chat")
    assert found.models == space.DEFAULT_MODELS
    assert found.templates == ("{prompt}",)
    assert found.n[0] == 1
    assert found.n[-1] == 100
    assert isinstance(found.temperature, Range)
    assert isinstance(found.top_p, Range)
    assert found.params == {"max_tokens": Range(low=50, high=1000, log=True, integer=True)}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("\nclass", Choice(values=(["\nclass"],))),
        (["\nclass", "\ndef"], Choice(values=(["\nclass", "\ndef"],))),
        ([["\nclass"], ["\ndef", "\nif"]], Choice(values=(["\nclass"], ["\ndef", "\nif"]))),
        ([["\nclass"], "\ndef"], Choice(values=(["\nclass"], ["\ndef"]))),
        ([[], ["\ndef"]], Choice(values=(None, ["\ndef"]))),
        ([None, ["\ndef"]], Choice(values=(None, ["\ndef"]))),
    ],
)
def test_stop_is_a_text_a_list_or_a_choice_of_lists(written: object, read: Choice) -> None:
    assert parse(stop=written).params["stop"] == read


def test_no_stop_is_no_parameter() -> None:
    assert "stop" not in parse(stop=None).params


@pytest.mark.parametrize("wrong", [[], 3, [3], [["a", 3]], {"a": 1}, [{"a": 1}], True])
def test_any_other_stop_is_refused(wrong: object) -> None:
    with pytest.raises(SpecError, match=r"space\.stop = "):
        parse(stop=wrong)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (5, (5,)),
        ([3, 1, 3], (1, 3)),
        ({"low": 2, "high": 4}, (2, 3, 4)),
        ({"low": 4, "high": 4}, (4,)),
        ({"choices": [1, 8]}, (1, 8)),
        ([2.0], (2,)),
    ],
)
def test_n_is_a_number_a_list_or_a_range(written: object, read: tuple[int, ...]) -> None:
    assert parse(n=written).n == read


@pytest.mark.parametrize(
    "wrong",
    [0, -1, 1.5, 129, "3", True, [], [1, "2"], None, {"low": 1}, {"low": 5, "high": 2},
     {"low": 1, "high": 3, "step": 1}, {"low": 1, "high": 10**400}, {"low": "1", "high": 2},
     {"low": 1, "high": 2, "log": "yes"}, {"low": float("nan"), "high": 3}],
)  # fmt: skip
def test_any_other_n_is_refused(wrong: object) -> None:
    with pytest.raises(SpecError, match=r"space\.n = "):
        parse(n=wrong)


def test_temperature_or_top_p_is_one_of_two_never_both_at_once() -> None:
    both = parse(temperature_or_top_p=True)
    assert both.temperature == Range(low=0.0, high=1.0)
    assert both.top_p == Range(low=0.0, high=1.0)
    neither = parse(temperature_or_top_p=False)
    assert (neither.temperature, neither.top_p) == (None, None)
    cold = parse(temperature=0)
    assert (cold.temperature, cold.top_p) == (Choice(values=(0,)), None)
    nucleus = parse(top_p=[0.9, 1])
    assert (nucleus.temperature, nucleus.top_p) == (None, Choice(values=(0.9, 1)))
    assert parse(temperature={"low": 0, "high": 1}).temperature == Range(low=0, high=1)


@pytest.mark.parametrize(
    "written",
    [
        {"temperature": {"low": 0.0, "high": 2.0}, "top_p": [1.0]},
        [{"temperature": {"low": 0.0, "high": 2.0}}, {"top_p": [1.0]}],
    ],
)
def test_both_domains_can_be_written_out_or_as_flaml_has_them(written: object) -> None:
    found = parse(temperature_or_top_p=written)
    assert found.temperature == Range(low=0.0, high=2.0)
    assert found.top_p == Choice(values=(1.0,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.5, "top_p": 0.5},
        {"temperature": 0.5, "temperature_or_top_p": True},
        {"temperature_or_top_p": "yes"},
        {"temperature_or_top_p": [1, 2]},
        {"temperature_or_top_p": {"temp": 1}},
        {"temperature": 2.5},
        {"temperature": None},
        {"top_p": {"low": 0.5, "high": 1.5}},
        {"temperature": float("nan")},
    ],
)
def test_any_other_temperature_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"temperature|top_p"):
        parse(**wrong)


def test_prompts_are_a_template_or_a_list_of_them() -> None:
    assert parse(prompt="{q}").templates == ("{q}",)
    assert parse(prompt=["{q}", "Q: {q}"]).templates == ("{q}", "Q: {q}")
    assert parse(prompt={"column": "rendered"}).templates == ({"column": "rendered"},)


def test_messages_are_a_conversation_or_a_list_of_them() -> None:
    one = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{q}"}]
    assert parse(messages=one).templates == (one,)
    assert parse(messages=[one, one[1:]]).templates == (one, one[1:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": []},
        {"prompt": [3]},
        {"prompt": "{q.secret}"},
        {"prompt": "{q[0]}"},
        {"prompt": "{}"},
        {"prompt": "{q!r}"},
        {"prompt": "{q:>9}"},
        {"prompt": "{q"},
        {"prompt": {"column": 3}},
        {"prompt": [[{"role": "user", "content": "{q}"}]]},
        {"messages": []},
        {"messages": "{q}"},
        {"messages": [[]]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": "{q.secret}"}]},
        {"messages": [{"role": "user", "content": "x", "name": 3}]},
        {"prompt": "{q}", "messages": [{"role": "user", "content": "{q}"}]},
    ],
)
def test_any_other_prompt_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"space\.(prompt|messages)"):
        parse(**wrong)


def test_any_further_parameter_is_a_constant_or_a_domain() -> None:
    params = parse(
        api="completions",
        best_of=[1, 4],
        presence_penalty={"low": -2, "high": 2.0},
        frequency_penalty=0.5,
        logit_bias={"50256": -100},
        user="me",
        response_format={"type": "json_object"},
        top_k=[20, 40],
    ).params
    assert params["best_of"] == Choice(values=(1, 4))
    assert params["presence_penalty"] == Range(low=-2, high=2.0)
    assert params["frequency_penalty"] == Choice(values=(0.5,))
    assert params["logit_bias"] == Choice(values=({"50256": -100},))
    assert params["user"] == Choice(values=("me",))
    assert params["response_format"] == Choice(values=({"type": "json_object"},))
    assert params["top_k"] == Choice(values=(20, 40))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("temprature", "temperature"), ("models", "model"), ("prompts", "prompt"),
     ("max_token", "max_tokens"), ("presence_penality", "presence_penalty"), ("stops", "stop")],
)  # fmt: skip
def test_a_misspelt_parameter_is_told_from_a_new_one(name: str, meant: str) -> None:
    with pytest.raises(SpecError, match=rf"space\.{name} = .*did you mean {meant}\?"):
        parse(**{name: 1})


@pytest.mark.parametrize("name", ["top_k", "min_p", "min_tokens", "repetition_penalty", "seed_x"])
def test_parameters_of_other_servers_are_passed_on(name: str) -> None:
    assert parse(**{name: 1}).params[name] == Choice(values=(1,))


@pytest.mark.parametrize("name", sorted(space.RESERVED))
def test_what_would_break_the_books_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=rf"space\.{name} is not"):
        parse(**{name: 1})
    with pytest.raises(SpecError, match=rf"space\.extra_body\.{name} is not"):
        parse(extra_body={name: 1})


def test_what_bursar_understands_is_not_smuggled_in_by_the_body() -> None:
    for name in ("n", "max_tokens", "best_of", "model"):
        with pytest.raises(SpecError, match=f"write {name}|Write {name}"):
            parse(extra_body={name: 1})


def test_what_the_api_does_not_take_is_refused() -> None:
    with pytest.raises(SpecError, match="only the completions API"):
        parse(best_of=3)
    with pytest.raises(SpecError, match="only the chat API"):
        parse(api="completions", messages=[{"role": "user", "content": "x"}])


@pytest.mark.parametrize("wrong", [[], "", [""], [3], 3, None])
def test_a_model_has_a_name(wrong: object) -> None:
    with pytest.raises(SpecError, match=r"space\.model"):
        parse(model=wrong)


def test_the_size_of_a_space_is_that_of_its_choices_and_infinite_with_a_continuous_range() -> None:
    pair, ten = Choice(values=(1, 2)), Range(low=1, high=10, integer=True)
    assert space.sizes([pair, ten]) == 20
    assert space.sizes([pair, Range(low=0.0, high=1.0)]) == float("inf")
    assert space.sizes([]) == 1

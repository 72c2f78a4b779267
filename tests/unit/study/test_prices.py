"""Prices: exact integers, the user's own before the table's, and no price is an error, not a guess."""

from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from study import prices, space, templates
from study.errors import SpecError
from study.prices import Price, Usage
from study.spec import StudySpec

TOKENS = st.integers(0, 2_000_000)


def spec(models: list[str], own: list[dict[str, Any]] | None = None) -> StudySpec:
    return StudySpec.parse(
        {
            "name": "s",
            "data": {"path": "p"},
            "budget": {"optimization_usd": 1.0, "inference_usd": 0.1},
            "space": {"model": models},
            "price": own or [],
        }
    )


def test_a_call_costs_its_tokens_rounded_up_to_a_nanodollar() -> None:
    price = Price.from_usd(input=0.15, output=0.60)
    assert price.cost(Usage(prompt_tokens=1_000_000, completion_tokens=0)) == 150_000_000
    assert price.cost(Usage(prompt_tokens=0, completion_tokens=1_000_000)) == 600_000_000
    assert price.cost(Usage(prompt_tokens=1, completion_tokens=1)) == 750
    tiny = Price.from_usd(input=0.0001, output=0.0)
    assert tiny.cost(Usage(prompt_tokens=1, completion_tokens=0)) == 1
    assert tiny.cost(Usage(prompt_tokens=0, completion_tokens=9)) == 0


@given(prompt=TOKENS, completion=TOKENS, input_=st.integers(0, 10**6), output=st.integers(0, 10**6))
def test_a_cost_is_exact(prompt: int, completion: int, input_: int, output: int) -> None:
    """Prices as written, to a thousandth of a cent per million tokens."""
    usd = [float(Decimal(price) / 10**5) for price in (input_, output)]
    price = Price.from_usd(input=usd[0], output=usd[1])
    exact = (Decimal(prompt * input_) + Decimal(completion * output)) / 10**11 * 10**9
    cost = price.cost(Usage(prompt_tokens=prompt, completion_tokens=completion))
    assert 0 <= cost - exact < 1


def test_the_users_own_price_wins_over_the_table() -> None:
    own = [{"model": "gpt-5.4-nano", "input": 9.0, "output": 9.5}]
    found = prices.pinned(spec(["gpt-5.4-nano", "gpt-5.4-mini"], own))
    assert found["gpt-5.4-nano"] == Price.from_usd(input=9.0, output=9.5)
    assert found["gpt-5.4-mini"] != found["gpt-5.4-nano"]


def test_a_price_of_nothing_must_be_the_users_own_word() -> None:
    own = [{"model": "mine", "input": 0, "output": 0}]
    price = prices.pinned(spec(["mine"], own))["mine"]
    assert price.cost(Usage(prompt_tokens=10**6, completion_tokens=10**6)) == 0


@pytest.mark.parametrize("model", ["no-such-model", "text-embedding-3-small", "whisper-1"])
def test_a_model_without_a_price_for_answers_is_named(model: str) -> None:
    with pytest.raises(SpecError) as caught:
        prices.pinned(spec(["gpt-5.4-nano", model]))
    assert caught.value.value == model
    assert f'model = "{model}"' in caught.value.remedy


def test_the_default_models_have_prices() -> None:
    assert set(prices.pinned(spec(list(space.DEFAULT_MODELS)))) == set(space.DEFAULT_MODELS)


def test_a_pinned_price_survives_its_json() -> None:
    found = prices.pinned(spec(["gpt-5.4-nano"]))
    assert prices.from_dict(prices.to_dict(found)) == found


def models_of_the_table() -> list[str]:
    """The models that OpenAI sells answers of, by the table's id."""
    [provider] = [p for p in data_snapshot.get_snapshot().providers if p.id == "openai"]
    return [model.id for model in provider.models if not model.id.startswith("ft:")]


def test_no_prompt_that_we_let_through_is_billed_above_its_pinned_price() -> None:
    """Long prompts have a dearer tier at some models: below PROMPT_BYTES_MAX none does."""
    checked = 0
    for model in models_of_the_table():
        try:
            price = prices.pinned(spec([model]))[model]
        except SpecError:
            continue  # no price for answers
        for tokens in (1, 1_000, templates.PROMPT_BYTES_MAX + 64):
            usage = genai_prices.Usage(input_tokens=tokens, output_tokens=tokens)
            bill = genai_prices.calc_price(usage, model_ref=model, provider_id="openai")
            ours = price.cost(Usage(prompt_tokens=tokens, completion_tokens=tokens))
            assert 0 <= ours - bill.total_price * 10**9 < 1, (model, tokens)
        checked += 1
    assert checked > 30

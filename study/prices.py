"""Prices: what tokens cost, in integers; the user's own price wins over genai-prices' table.

A price is pinned into the study's record when the study starts, so that every machine and every
resumption bills the same, whatever version of the table it carries.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import genai_prices

from study import money
from study.errors import SpecError
from study.spec import StudySpec

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one call, as the provider counts them; reasoning tokens are among the output's."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model's tokens cost, in nanodollars per million tokens: exact integers."""

    input_nanodollars_per_million: int
    output_nanodollars_per_million: int

    def cost(self, usage: Usage) -> int:
        """What a call costs, in nanodollars, rounded up."""
        total = (
            usage.prompt_tokens * self.input_nanodollars_per_million
            + usage.completion_tokens * self.output_nanodollars_per_million
        )
        return -(-total // MILLION)

    def to_dict(self) -> dict[str, int]:
        """The price as JSON values."""
        return dict(vars(self))

    @classmethod
    def from_usd(cls, *, input: Decimal | float, output: Decimal | float) -> "Price":  # noqa: A002 (the study file's word)
        """A price from dollars per million tokens, rounded up to whole nanodollars per million."""
        return cls(
            input_nanodollars_per_million=money.from_usd(input),
            output_nanodollars_per_million=money.from_usd(output),
        )


def pinned(spec: StudySpec) -> dict[str, Price]:
    """The price of each model of a study.

    Raises:
        SpecError: naming the first model that has no known price.
    """
    own = {p.model: Price.from_usd(input=p.input, output=p.output) for p in spec.price}
    return {
        model: own.get(model) or _known(model, provider=spec.endpoint.provider)
        for model in spec.search_space.models
    }


def _known(model: str, *, provider: str) -> Price:
    try:
        # One token: many would fall into a long prompt's dearer tier, and templates.check refuses
        # prompts that long.
        one = genai_prices.Usage(input_tokens=1, output_tokens=1)
        found = genai_prices.calc_price(one, model_ref=model, provider_id=provider)
    except LookupError as exc:
        raise _unpriced(model) from exc
    if not found.output_price:  # embeddings, speech, free previews: no price that bounds a bill
        raise _unpriced(model)
    return Price.from_usd(input=found.input_price * MILLION, output=found.output_price * MILLION)


def _unpriced(model: str) -> SpecError:
    return SpecError(
        field="space.model",
        value=model,
        problem="has no known price",
        remedy=f'mend its name, or add [[price]] with model = "{model}", input and output '
        "(dollars per million tokens; 0 for one of your own that costs nothing)",
    )


def to_dict(prices: Mapping[str, Price]) -> dict[str, dict[str, int]]:
    """The pinned prices as JSON values."""
    return {model: price.to_dict() for model, price in prices.items()}


def from_dict(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Price]:
    """Read what `to_dict` wrote."""
    return {model: Price(**price) for model, price in data.items()}


def cheapest(prices: Iterable[Price]) -> Price:
    """The price with the lowest output price."""
    return min(prices, key=lambda price: price.output_nanodollars_per_million)

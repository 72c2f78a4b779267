"""Bounds: the worst case of an evaluation, for the search and for the check before the start."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self

from study import prompt_tokens, templates, worst_case
from study.config import Arm
from study.connection import Client
from study.messages import Scored
from study.prices import Price, Usage
from study.space import Choice, SearchSpace
from study.studies import Studies, StudyRecord


class Bounds:
    """What evaluations can cost at most.

    Args:
        space: the search space, for its templates.
        prices: of each model.
        examples: the rows by example id.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        prices: Mapping[str, Price],
        examples: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._space, self._prices, self._examples = space, prices, examples
        self._prompt_tokens = lru_cache(maxsize=100_000)(self._count_prompt_tokens)
        self._names: dict[str, str] = {}
        self._known: dict[tuple[str, str], int] = {}

    @classmethod
    def of(cls, record: StudyRecord, client: Client) -> Self:
        """Those of a study."""
        examples = Studies(client).examples(record.id)
        return cls(record.spec.search_space, prices=record.prices, examples=examples)

    def worst_case(self, arm: Arm, example: str, draws: int) -> int:
        """The most that buying draws of an arm on an example can cost, in nanodollars.

        It shrinks once the prompt was billed (`learn`), as the workers' own reservations do.
        """
        rendered_tokens = self._prompt_tokens(arm.model, arm.template, example)
        rest = worst_case.usage("", model=arm.model, params=arm.params, n=draws)
        empty = worst_case.prompt_tokens("", model=arm.model)
        usage = Usage(
            prompt_tokens=rendered_tokens + rest.prompt_tokens - empty,
            completion_tokens=rest.completion_tokens,
        )
        known = self._known.get((self._name(arm), example))
        return self._prices[arm.model].cost(prompt_tokens.bounded(usage, known))

    def learn(self, result: Scored) -> None:
        """Take in what the prompt of a scored evaluation was billed for; twice is the same as once."""
        name = self._names.get(result.arm)
        if name is not None and result.paid.calls == 1:
            # The worker wrote its own down before: its reservations are never above what is promised here.
            at = (name, result.example)
            self._known[at] = max(self._known.get(at, 0), result.paid.prompt_tokens)

    def _name(self, arm: Arm) -> str:
        """What arms with the same prompts share."""
        if arm.key not in self._names:
            whole = [arm.model, arm.template, prompt_tokens.sent_along(arm.params)]
            self._names[arm.key] = json.dumps(whole, sort_keys=True, default=str)
        return self._names[arm.key]

    def cheapest(self) -> tuple[int, str]:
        """The least that any one evaluation can be promised for, in nanodollars, and its model."""
        max_tokens = self._space.params["max_tokens"]
        few = min(max_tokens.values) if isinstance(max_tokens, Choice) else int(max_tokens.low)
        best_of = self._space.params.get("best_of")
        answers = min(best_of.values) if isinstance(best_of, Choice) else 1
        return min(
            (
                self.worst_case(
                    Arm(model=model, template=template, params={"max_tokens": few}),
                    example,
                    int(answers),
                ),
                model,
            )
            for model in self._space.models
            for template in range(len(self._space.templates))
            for example in self._examples
        )

    def _count_prompt_tokens(self, model: str, template: int, example: str) -> int:
        rendered = templates.render(self._space.templates[template], self._examples[example])
        return worst_case.prompt_tokens(rendered, model=model)

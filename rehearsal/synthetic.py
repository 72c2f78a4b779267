"""The source of synthetic answers: it draws from a response surface, and only that."""

from __future__ import annotations

from collections import Counter

from rehearsal.answers import Answer, choose, menu
from rehearsal.chance import unit
from rehearsal.completion import Completion, cut
from rehearsal.problems import Asked
from rehearsal.request import CompletionRequest
from rehearsal.surface import Surface


class Synthetic:
    """Answers made from the canonical solutions, right as often as the surface says.

    An answer's chance derives from the seed, the cell (problem, template, model, temperature,
    top_p, API) and the draw's number within the cell: the same draws in the same order give the
    same answers, and what cuts them (max_tokens, stop) does not change them.

    Attributes:
        surface: How likely each answer is.
    """

    def __init__(self, surface: Surface | None = None) -> None:
        """Take the surface that says how likely each answer is; None is the default one."""
        self.surface = surface or Surface()
        self._drawn: Counter[tuple[object, ...]] = Counter()

    @property
    def label(self) -> str:
        """The first word of the fingerprint of its answers."""
        return "synthetic"

    def draw(self, asked: Asked, request: CompletionRequest, *, seed: int) -> list[Completion]:
        """Draw the answers to one request: see `Source`."""
        cell = (
            asked.problem.id,
            asked.template,
            request.model,
            request.temperature,
            request.top_p,
            request.api,
        )
        right = self.surface.right_probability(
            asked.problem.id,
            model=request.model,
            template=asked.template,
            temperature=request.temperature,
            top_p=request.top_p,
        )
        failure = self.surface.format_failure(
            model=request.model, template=asked.template, api=request.api
        )
        draws = 1 if request.is_greedy else request.best_of
        first = self._drawn[cell]
        self._drawn[cell] += draws
        completions = []
        for number in range(first, first + draws):
            answer = self._draw_answer(asked, request, right, failure, (seed, *cell, number))
            completions.append(cut(answer.text, stop=request.stop, tokens_max=request.tokens_max))
        return completions * request.best_of if request.is_greedy else completions

    @staticmethod
    def _draw_answer(
        asked: Asked,
        request: CompletionRequest,
        right: float,
        failure: float,
        names: tuple[object, ...],
    ) -> Answer:
        answers = menu(asked.problem, request.api)
        if unit(*names, "format") < failure:
            kind = answers.off_format
        elif answers.right and unit(*names, "right") < right:
            kind = answers.right
        else:
            kind = answers.wrong
        return choose(kind, unit(*names, "answer"))

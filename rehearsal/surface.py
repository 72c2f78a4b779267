"""The response surface: how likely each model is to answer each problem right, under which parameters.

It is a frozen, seeded value without a problem list: a problem's difficulty, a template's effect and
an unlisted model's ability are functions of the seed and the name. So the truth can be computed by
whoever holds the surface, without asking the server (README.md has the formula and its fit).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import exp, log

from rehearsal.answers import Answer, menu
from rehearsal.chance import normal, unit
from rehearsal.completion import cut
from rehearsal.problems import Problem
from rehearsal.request import Api

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 1.0
_LOGIT_MAX = 60.0  # keeps exp() in range; a chance of 1e-26 is none


@dataclass(frozen=True, kw_only=True)
class ModelTraits:
    """What sets a model apart.

    Attributes:
        ability: In the unit of the problems' difficulty; 0 is code-davinci-002's.
        heat: How much warmer it gets at a given temperature than code-davinci-002.
        format_failure: The share of its chat answers that ignore the asked format.
    """

    ability: float
    heat: float = 1.0
    format_failure: float = 0.15


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A response surface. The defaults are fitted to the facts about code-davinci-002 (README.md).

    Attributes:
        seed: Whatever the other attributes leave to chance is a function of it.
        models: The traits of models; those not listed have traits by chance.
        ability_mean: The mean ability of models that are not listed.
        ability_sd: Its spread.
        hard_share: The share of problems in the hard mode of the two modes of difficulty.
        hard_mean: The mean difficulty in the hard mode.
        hard_sd: Its spread.
        easy_mean: The mean difficulty in the other mode.
        easy_sd: Its spread.
        spread_power: How fast chances leave 0 and 1 with temperature.
        heat_cost: How many logits temperature 1 costs.
        heat_power: How suddenly that cost comes with temperature.
        template_sd: The spread of the templates' effects; the bare prompt has none.
        interaction_sd: The spread of what a template does to one model more than to others.
        affinity_sd: The spread of what a model has with one problem more than its ability says.
        format_spread: The spread of format failures over models and templates, in logits.
    """

    seed: int = 0
    models: Mapping[str, ModelTraits] = field(default_factory=dict)
    ability_mean: float = 0.6
    ability_sd: float = 0.7
    hard_share: float = 0.12
    hard_mean: float = 1.97
    hard_sd: float = 0.05
    easy_mean: float = 0.265
    easy_sd: float = 1.25
    spread_power: float = 0.63
    heat_cost: float = 1.2
    heat_power: float = 3.25
    template_sd: float = 0.25
    interaction_sd: float = 0.2
    affinity_sd: float = 0.3
    format_spread: float = 0.4

    @classmethod
    def draw(cls, seed: int, output_usd_per_mtok: Mapping[str, float]) -> Surface:
        """Draw a surface at random.

        Args:
            seed: The seed; the same one gives the same surface.
            output_usd_per_mtok: The models and what they cost: dear ones tend to be abler, and do
                not always keep that promise.

        Returns:
            The surface.
        """

        def between(low: float, high: float, *names: object) -> float:
            return low + (high - low) * unit(seed, "surface", *names)

        logs = {model: log(max(usd, 1e-9)) for model, usd in output_usd_per_mtok.items()}
        middle = sum(logs.values()) / max(1, len(logs))
        models = {
            model: ModelTraits(
                ability=0.6 + 0.35 * (dearness - middle) + 0.6 * normal(seed, "ability", model),
                heat=between(0.85, 1.2, "heat", model),
                format_failure=between(0.05, 0.3, "format", model),
            )
            for model, dearness in logs.items()
        }
        return cls(
            seed=seed,
            models=models,
            hard_share=between(0.1, 0.35, "hard share"),
            hard_mean=between(1.8, 3.5, "hard mean"),
            hard_sd=between(0.05, 0.5, "hard sd"),
            easy_mean=between(-0.6, 0.6, "easy mean"),
            easy_sd=between(0.8, 1.5, "easy sd"),
            spread_power=between(0.5, 0.9, "spread power"),
            heat_cost=between(0.7, 1.8, "heat cost"),
            heat_power=between(2.0, 4.0, "heat power"),
            template_sd=between(0.1, 0.6, "template sd"),
            interaction_sd=between(0.1, 0.5, "interaction sd"),
            affinity_sd=between(0.1, 0.5, "affinity sd"),
        )

    def traits(self, model: str) -> ModelTraits:
        """Return the traits of a model, listed or not."""
        listed = self.models.get(model)
        if listed is not None:
            return listed
        return ModelTraits(
            ability=self.ability_mean + self.ability_sd * normal(self.seed, "ability", model)
        )

    def difficulty(self, problem_id: str) -> float:
        """Return the difficulty of a problem, in the unit of ability."""
        deviation = normal(self.seed, "difficulty", problem_id)
        if unit(self.seed, "mode", problem_id) < self.hard_share:
            return self.hard_mean + self.hard_sd * deviation
        return self.easy_mean + self.easy_sd * deviation

    def format_failure(self, *, model: str, template: str = "", api: Api = "chat") -> float:
        """Return the chance that an answer ignores the asked format (never through completions)."""
        share = self.traits(model).format_failure
        if api == "completions" or share <= 0:
            return 0.0
        shift = self.format_spread * normal(self.seed, "format", model, template)
        return _logistic(log(share / (1 - share)) + shift)

    def right_probability(
        self,
        problem_id: str,
        *,
        model: str,
        template: str = "",
        temperature: float | None = None,
        top_p: float | None = None,
    ) -> float:
        """Return the chance that an answer in the asked format is right, before it is cut.

        Args:
            problem_id: The problem.
            model: The model.
            template: The template as `Problems.find` names it.
            temperature: As in the API; None is its default.
            top_p: As in the API; None is its default.

        Returns:
            The chance.
        """
        traits = self.traits(model)
        heat = traits.heat * (DEFAULT_TEMPERATURE if temperature is None else temperature)
        heat *= DEFAULT_TOP_P if top_p is None else top_p
        lead = traits.ability - self.difficulty(problem_id)
        lead += self.affinity_sd * normal(self.seed, "affinity", model, problem_id)
        if template:
            lead += self.template_sd * normal(self.seed, "template", template)
            lead += self.interaction_sd * normal(self.seed, "interaction", model, template)
        spread = 0.0014 + 0.9986 * heat**self.spread_power
        return _logistic(lead / spread - self.heat_cost * heat**self.heat_power)

    def pass_probability(
        self,
        problem: Problem,
        *,
        model: str,
        template: str = "",
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: tuple[str, ...] = (),
        api: Api = "chat",
    ) -> float:
        """Return the true chance that one answer of the synthetic source passes.

        Args:
            problem: The problem.
            model: The model.
            template: The template as `Problems.find` names it.
            temperature: As in the API; None is its default.
            top_p: As in the API; None is its default.
            max_tokens: As in the API; None is no limit.
            stop: The stop strings.
            api: Which API is called.

        Returns:
            The chance, for an evaluator that finds the code in every form of `rehearsal.answers`.
        """
        kept = sum(
            answer.weight
            for answer in menu(problem, api).right
            if answer.survives(stop=stop, tokens_max=max_tokens)
        )
        right = self.right_probability(
            problem.id, model=model, template=template, temperature=temperature, top_p=top_p
        )
        return kept * right * (1 - self.format_failure(model=model, template=template, api=api))

    def completion_tokens(
        self,
        problem: Problem,
        *,
        model: str,
        template: str = "",
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: tuple[str, ...] = (),
        api: Api = "chat",
    ) -> float:
        """Return the expected tokens of one answer; the arguments are `pass_probability`'s."""
        answers = self.mixture(
            problem, model=model, template=template, temperature=temperature, top_p=top_p, api=api
        )
        return sum(
            weight * cut(answer.text, stop=stop, tokens_max=max_tokens).tokens
            for weight, answer in answers
        )

    def mixture(
        self,
        problem: Problem,
        *,
        model: str,
        template: str = "",
        temperature: float | None = None,
        top_p: float | None = None,
        api: Api = "chat",
    ) -> Iterator[tuple[float, Answer]]:
        """Yield every answer that can be given, uncut, with its chance."""
        failure = self.format_failure(model=model, template=template, api=api)
        right = self.right_probability(
            problem.id, model=model, template=template, temperature=temperature, top_p=top_p
        )
        answers = menu(problem, api)
        if not answers.right:
            right = 0.0
        for share, kind in (
            (failure, answers.off_format),
            ((1 - failure) * right, answers.right),
            ((1 - failure) * (1 - right), answers.wrong),
        ):
            for answer in kind:
                yield share * answer.weight, answer


def pass_at_n(chance: float, *, n: int, temperature: float | None = None) -> float:
    """Return the chance that one of the n answers of one call passes.

    Args:
        chance: What `Surface.pass_probability` says of one answer.
        n: The answers of the call.
        temperature: The temperature; at 0 all answers are one text, and a bigger n buys nothing.

    Returns:
        The chance.
    """
    return chance if temperature == 0 else 1 - (1 - chance) ** n


def _logistic(logit: float) -> float:
    return 1 / (1 + exp(-max(-_LOGIT_MAX, min(_LOGIT_MAX, logit))))

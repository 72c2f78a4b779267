"""The response surface: its numbers look like the facts, and the truth it tells is the truth."""

import math
from statistics import mean

import pytest

from rehearsal import Asked, ModelTraits, Problem, Surface, Synthetic, pass_at_n
from rehearsal.answers import menu
from rehearsal.request import CompletionRequest

CODEX = Surface(models={"codex": ModelTraits(ability=0, format_failure=0)})
PROBLEMS = [f"problem-{number}" for number in range(1500)]
# code-davinci-002 on HumanEval, pass@1, 2, 5, 10, 20, 100 (Chen et al.'s CodeT runs).
FACTS = {
    0.2: (0.388, 0.466, 0.560, 0.630, 0.697, 0.817),
    0.6: (0.361, 0.504, 0.684, 0.799, 0.887, 0.988),
    0.8: (0.314, 0.464, 0.663, 0.792, 0.891, 0.994),
    1.0: (0.224, 0.357, 0.565, 0.717, 0.841, 0.988),
}


def pass_at(surface: Surface, n: int, temperature: float, model: str = "codex") -> float:
    chances = (
        surface.right_probability(problem, model=model, temperature=temperature)
        for problem in PROBLEMS
    )
    return mean(pass_at_n(chance, n=n, temperature=temperature) for chance in chances)


@pytest.mark.parametrize("temperature", FACTS)
def test_the_default_surface_has_codexs_pass_at_k(temperature: float) -> None:
    for n, fact in zip((1, 2, 5, 10, 20, 100), FACTS[temperature], strict=True):
        assert pass_at(CODEX, n, temperature) == pytest.approx(fact, abs=0.05)


def test_at_temperature_zero_more_answers_buy_nothing() -> None:
    assert pass_at(CODEX, 1, 0) == pass_at(CODEX, 100, 0) == pytest.approx(0.37, abs=0.05)


def test_the_best_temperature_rises_with_n() -> None:
    temperatures = [step / 10 for step in range(11)]
    best = [max(temperatures, key=lambda t, n=n: pass_at(CODEX, n, t)) for n in (1, 5, 100)]  # type: ignore[misc]
    assert best[0] < best[1] < best[2] < 1.0


def test_difficulties_at_a_low_temperature_are_bimodal() -> None:
    chances = [CODEX.right_probability(name, model="codex", temperature=0.2) for name in PROBLEMS]
    extreme = sum(chance < 0.1 or chance > 0.9 for chance in chances)
    assert extreme > len(chances) / 2  # a fifth would be, were they spread evenly


def test_a_smaller_top_p_works_like_a_lower_temperature() -> None:
    same = CODEX.right_probability("p", model="codex", temperature=0.5)
    assert CODEX.right_probability("p", model="codex", temperature=1.0, top_p=0.5) == same


def test_abilities_and_prices_do_not_always_agree() -> None:
    prices = {f"model-{usd}": float(usd) for usd in (1, 2, 4, 8, 16)}
    orders = set()
    for seed in range(20):
        surface = Surface.draw(seed, prices)
        orders.add(tuple(sorted(prices, key=lambda model: surface.traits(model).ability)))
    assert len(orders) > 5
    assert sum(order[-1] == "model-16" for order in orders) < len(orders)


def test_templates_help_some_models_and_harm_others() -> None:
    surface = Surface(interaction_sd=1.0)

    def effect(model: str) -> float:
        bare = surface.right_probability("p", model=model, temperature=1)
        return (
            surface.right_probability("p", model=model, template="# {prompt}", temperature=1) - bare
        )

    effects = [effect(f"model-{number}") for number in range(20)]
    assert min(effects) < 0 < max(effects)


def test_the_same_seed_is_the_same_surface() -> None:
    assert Surface.draw(3, {"a": 1.0}) == Surface.draw(3, {"a": 1.0}) != Surface.draw(4, {"a": 1.0})


@pytest.mark.parametrize(
    ("max_tokens", "stop"), [(None, ()), (40, ()), (25, ()), (None, ("\ndef",)), (60, ("\n```",))]
)
def test_the_true_chances_are_those_of_the_answers(
    clamp: Problem, max_tokens: int | None, stop: tuple[str, ...]
) -> None:
    """Judged by whether a right answer's code is whole, over 4,000 draws of the real source."""
    surface, draws = Surface(models={"m": ModelTraits(ability=1.0)}), 4000
    request = CompletionRequest(
        api="chat", model="m", text="", prompt_tokens=0, best_of=draws, temperature=0.7,
        tokens_max=max_tokens, stop=stop,
    )  # fmt: skip
    given = Synthetic(surface).draw(Asked(problem=clamp, template=""), request, seed=1)
    whole = tuple(answer.text[: answer.code_end] for answer in menu(clamp, "chat").right)
    passed = sum(completion.text.startswith(whole) for completion in given)
    where = {"model": "m", "temperature": 0.7, "max_tokens": max_tokens, "stop": stop}
    chance = surface.pass_probability(clamp, **where)  # type: ignore[arg-type]
    deviation = math.sqrt(max(chance * (1 - chance), 1e-9) / draws)
    assert passed / draws == pytest.approx(chance, abs=4 * deviation)
    tokens = surface.completion_tokens(clamp, **where)  # type: ignore[arg-type]
    assert mean(completion.tokens for completion in given) == pytest.approx(tokens, rel=0.05)


def test_about_fifteen_percent_of_chat_answers_ignore_the_format() -> None:
    shares = [Surface().format_failure(model=f"m-{number}") for number in range(300)]
    assert mean(shares) == pytest.approx(0.15, abs=0.02)
    assert Surface().format_failure(model="m", api="completions") == 0


def test_a_problem_without_solution_is_never_passed(open_ended: Problem) -> None:
    assert Surface().pass_probability(open_ended, model="m") == 0
    assert Surface().completion_tokens(open_ended, model="m") > 0

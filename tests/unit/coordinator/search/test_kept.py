"""What cuts leave of answers, as believed from draws that were judged whole and cut."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coordinator import kept
from coordinator.abilities import Abilities
from coordinator.kept import Kept
from coordinator.lengths import Tokens
from coordinator.plan import Work
from coordinator.pool import Change, Pool
from coordinator.recommend import at_most
from coordinator.runner import Runner
from coordinator.search import Search
from study import cuts, space
from study.config import Arm, Config
from study.messages import Paid, Scored, ScoredCut
from study.metrics import success
from study.prices import Price, Usage
from study.trials import Trial

from . import conftest
from .conftest import ANSWER_TOKENS, DOLLAR, PRICES, PROMPT_TOKENS, Loop, passing

N = (1, 2, 4, 8, 16)
SPACE = space.parse(
    {"model": "m", "prompt": "{a}", "n": list(N), "max_tokens": [100, 1000], "stop": [[], ["x"]]},
    api="chat",
)
WHOLE = Arm(model="m", template=0, params={"temperature": 0.7, "max_tokens": 1000})
SHORT, STOPPED = cuts.of(SPACE, WHOLE)
PRICE = Price.from_usd(input=1.0, output=2.0)
TOKENS = Tokens(prompt=100, output=400, prompt_variance=0, output_variance=900, covariance=30)


def pool_of(
    passes: list[list[bool]], cut: list[list[bool]] | None, *, tokens: float = 100.0
) -> Pool:
    """Draws of 400 tokens by example, and what is left of them under SHORT."""
    pool = Pool(WHOLE, len(passes), PRICE, cuts.of(SPACE, WHOLE))
    for e, whole in enumerate(passes):
        if not whole:
            continue
        found = None
        if cut is not None:
            output = tokens * len(whole)
            found = [ScoredCut(arm=SHORT.key, passes=cut[e], output_tokens=output)]
        paid = Paid(
            calls=1,
            prompt_tokens=100,
            completion_tokens=400 * len(whole),
            cost_nanodollars=1,
            latency_s=1.0,
        )
        pool.record(
            e,
            Scored(
                trial=0,
                arm=WHOLE.key,
                example=f"tune-{e}",
                first_draw=0,
                draws=len(whole),
                passes=whole,
                cuts=found,
                paid=paid,
            ),
        )
    return pool


def only(pool: Pool) -> Kept:
    [found] = kept.cuts(pool)
    return found


def drawn(chances: np.ndarray, draws: int, *, seed: int = 0) -> list[list[bool]]:
    random = np.random.default_rng(seed)
    return [[bool(x) for x in random.random(draws) < chance] for chance in chances]


def test_a_cut_that_keeps_all_passes_is_nearly_as_good_and_uses_its_share_of_tokens() -> None:
    passes = drawn(np.linspace(0.1, 0.9, 20), 16)
    pool = pool_of(passes, passes)
    found = only(pool)
    assert found.arm == SHORT
    assert found.of(TOKENS).output == pytest.approx(100)
    assert found.of(TOKENS).output_variance < TOKENS.output_variance
    model = Abilities(success, n=N, examples=20, space=SPACE)
    model.fit_anew([pool])
    full, less = model.belief(pool), model.belief(pool, found)
    assert (less.means <= full.means).all()
    assert less.means == pytest.approx(full.means, abs=0.03)  # one of 20 may be spoilt elsewhere
    assert (full.draw_errors < less.draw_errors).all()
    assert (less.draw_errors < full.draw_errors + 0.03).all()


def test_no_mean_of_tokens_is_believed_to_pass_the_limit() -> None:
    passes = [[True] * 4] * 6
    pool = pool_of(passes, passes)
    most = at_most(pool, only(pool).of(TOKENS), 1)
    assert most == PRICE.cost(Usage(prompt_tokens=100, completion_tokens=100))


def test_passes_lost_on_some_examples_stay_lost_however_many_answers_there_are() -> None:
    passes = drawn(np.full(20, 0.9), 16)
    cut = [[False] * 16 if e < 5 else whole for e, whole in enumerate(passes)]
    pool = pool_of(passes, cut)
    model = Abilities(success, n=N, examples=20, space=SPACE)
    model.fit_anew([pool])
    assert model.belief(pool).means[-1] > 0.98
    assert model.belief(pool, only(pool)).means[-1] == pytest.approx(0.75, abs=0.04)


def test_passes_that_only_the_cut_has_are_seen() -> None:
    passes = drawn(np.full(20, 0.4), 16)
    cut = [[True] * 16 for _ in passes]
    pool = pool_of(passes, cut)
    model = Abilities(success, n=N, examples=20, space=SPACE)
    model.fit_anew([pool])
    assert model.belief(pool).means[0] == pytest.approx(np.mean(passes), abs=0.05)
    assert model.belief(pool, only(pool)).means[0] > 0.9


def test_a_cut_is_never_believed_to_rescue_what_no_cut_rescued() -> None:
    passes = [[True] * 4] * 10 + [[False] * 4] * 10
    found = only(pool_of(passes, passes))
    assert found.failing.max() == 0


def test_beliefs_of_cuts_hold_the_truth_within_their_errors() -> None:
    hits = []
    for seed in range(15):
        random = np.random.default_rng(seed)
        chances = 1 / (1 + np.exp(-random.normal(0, 2, 20)))
        keeps = random.random(20) < 0.8
        passes = drawn(chances, 4, seed=seed)
        cut = [[p and bool(k) for p in whole] for whole, k in zip(passes, keeps, strict=True)]
        pool = pool_of(passes, cut)
        model = Abilities(success, n=N, examples=20, space=SPACE)
        model.fit_anew([pool])
        belief = model.belief(pool, only(pool))
        truth = np.mean(1 - (1 - chances * keeps)[:, None] ** np.array(N), axis=0)
        hits.append(np.abs(belief.means - truth) <= 2 * belief.draw_errors)
    assert np.mean(hits) >= 0.85


@pytest.mark.parametrize(
    ("cut", "tokens"),
    [
        (None, 0),  # an old result: nothing was looked at
        ([[True] * 4] * 6, 399),  # saves nothing
        ([[False] * 4] * 6, 100),  # spoils all
    ],
)
def test_cuts_that_cannot_be_better_are_not_looked_at(
    cut: list[list[bool]] | None, tokens: float
) -> None:
    assert kept.cuts(pool_of([[True] * 4] * 6, cut, tokens=tokens)) == []


def test_a_cost_that_was_seen_to_differ_between_examples_is_less_sure() -> None:
    passes = [[True] * 4] * 6
    even = only(pool_of(passes, passes, tokens=50))
    pool = pool_of(passes, passes, tokens=50)
    for e, cell in enumerate(pool.cells):
        cell.changes[SHORT.key].saved = 4 * (400 if e < 3 else 300)
    uneven = only(pool)
    assert uneven.tokens == pytest.approx(even.tokens)
    assert uneven.tokens_error > even.tokens_error
    assert at_most(pool, uneven.of(TOKENS), 1) > at_most(pool, even.of(TOKENS), 1)


NEEDED = 90
"""Tokens of an answer in which everything is said that matters; the rest is talk."""
TABLE: dict[str, Any] = {"max_tokens": {"low": 50, "high": 400, "log": True}}


def talkative(table: dict[str, Any]) -> Callable[[Work, np.random.Generator], dict[str, Any]]:
    """Answers with much talk behind what matters, judged whole and cut."""
    searched = space.parse({**conftest.TABLE, **table}, api="chat")

    def answer(work: Work, random: np.random.Generator) -> dict[str, Any]:
        distinct = 1 if work.arm.repeats_itself else work.draws
        chance = passing(work.arm, work.example)
        passes = [bool(x) for x in np.repeat(random.random(distinct) < chance, work.draws)]
        passes = passes[: work.draws]
        return {
            "passes": passes,
            "cuts": [
                ScoredCut(
                    arm=cut.key,
                    passes=[p and cut.max_tokens >= NEEDED for p in passes],
                    output_tokens=work.draws * cut.max_tokens,
                )
                for cut in cuts.of(searched, work.arm)
                if cut.max_tokens < ANSWER_TOKENS
            ],
        }

    return answer


def cost(config: Config) -> float:
    price = PRICES[config.arm.model]
    output = config.n * min(ANSWER_TOKENS, config.arm.max_tokens)
    million = PROMPT_TOKENS * price.input_nanodollars_per_million
    return (million + output * price.output_nanodollars_per_million) / 1_000_000


def test_what_matters_is_kept_and_more_answers_are_afforded(
    make_search: Callable[..., Search],
) -> None:
    limit = DOLLAR // 2200  # two whole answers of the cheap model, or four cut ones
    search = make_search({**TABLE, "model": "cheap"}, inference_limit=limit)
    Loop(search, DOLLAR // 10, answers=talkative({**TABLE, "model": "cheap"})).run()
    found = search.recommend()
    assert found is not None
    assert NEEDED <= found.config.arm.max_tokens < ANSWER_TOKENS
    assert found.config.n > 2
    assert cost(found.config) <= limit
    assert found.inference_cost_nanodollars == pytest.approx(cost(found.config), rel=0.03)
    assert abs(found.value - conftest.true_value(found.config)) <= 2 * found.std_error


def test_an_arm_that_is_affordable_only_when_cut_lives_and_is_recommended(
    make_search: Callable[..., Search],
) -> None:
    limit = int(
        1.6 * cost(Config(arm=replace(WHOLE, model="dear", params={"max_tokens": 100}), n=1))
    )
    table = {**TABLE, "model": "dear"}
    search = make_search(table, inference_limit=limit)
    Loop(search, DOLLAR, answers=talkative(table)).run()
    found = search.recommend()
    assert found is not None
    assert found.config.arm.max_tokens == 100
    assert (
        cost(found.config)
        <= limit
        < cost(replace(found.config, arm=replace(found.config.arm, params={"max_tokens": 400})))
    )
    assert not any("inference budget" in trial.reason for trial in search.trials)


def test_where_nothing_fits_an_arm_is_looked_at_as_its_cheapest_cut(
    make_search: Callable[..., Search],
) -> None:
    pool = pool_of([[True] * 4] * 6, [[True] * 4] * 6)
    for cell in pool.cells:
        cell.changes[STOPPED.key] = Change(saved=4 * 40)
    runner = Runner(trial=Trial(number=0, arm=WHOLE), pool=pool, tokens=TOKENS)
    assert len(kept.cuts(pool)) == 2
    version = make_search(inference_limit=1)._version(runner, None)
    assert version is not None
    assert version.arm == SHORT


def test_the_same_results_in_another_order_recommend_the_same_cut(
    make_search: Callable[..., Search],
) -> None:
    table = {**TABLE, "model": "cheap"}
    search = make_search(table, inference_limit=DOLLAR // 1000)
    loop = Loop(search, DOLLAR // 20, answers=talkative(table))
    loop.run()
    again = make_search(table, inference_limit=DOLLAR // 1000)
    again.restore(search.trials)
    for result in reversed([Scored.model_validate_json(r.model_dump_json()) for r in loop.results]):
        again.record(result)
    again.conclude()
    assert again.recommend() == search.recommend()
    assert again.recommend() is not None

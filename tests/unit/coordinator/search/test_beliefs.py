"""What is believed of arms, against truths that are known."""

import numpy as np
import pytest

from coordinator import race, recommend
from coordinator.abilities import Abilities
from coordinator.curves import Curves
from coordinator.pool import Pool
from study.config import Arm
from study.messages import Paid, Scored
from study.metrics import expected_success, success
from study.prices import Price

PRICE = Price.from_usd(input=1.0, output=2.0)
N = (1, 2, 4, 8, 16)


def arm(temperature: float = 0.7, model: str = "m") -> Arm:
    return Arm(model=model, template=0, params={"temperature": temperature, "max_tokens": 100})


def fill(pool: Pool, index: int, passes: list[bool], *, output: int = 10) -> None:
    cell = pool.cells[index]
    pool.record(
        index,
        Scored(
            trial=0,
            arm=pool.arm.key,
            example=f"tune-{index}",
            first_draw=cell.asked,
            draws=len(passes),
            passes=passes,
            paid=Paid(
                calls=1,
                prompt_tokens=100,
                completion_tokens=output * len(passes),
                cost_nanodollars=1,
                latency_s=1.0,
            ),
        ),
    )


def drawn(passing: np.ndarray, draws: int, *, examples: int, seed: int, heat: float = 0.7) -> Pool:
    random = np.random.default_rng(seed)
    pool = Pool(arm(heat), len(passing), PRICE)
    for index in range(examples):
        fill(pool, index, [bool(x) for x in random.random(draws) < passing[index]])
    return pool


@pytest.mark.parametrize("metric", [success, expected_success])
def test_with_many_draws_the_belief_is_the_truth(metric: object) -> None:
    passing = np.array([0.02, 0.1, 0.3, 0.5, 0.9, 0.99] * 3)
    model = Abilities(metric, n=N, examples=18)  # type: ignore[arg-type]
    model.add(drawn(passing, 200, examples=18, seed=0))
    model.refit()
    belief = model.belief(0)
    truth = [np.mean(1 - (1 - passing) ** n) for n in N]
    if metric is success:
        assert np.abs(belief.means - truth).max() < 0.03
    assert belief.draw_errors.max() < 0.05
    assert (np.diff(belief.means) > 0).all()


def test_beliefs_past_the_draws_are_within_their_errors() -> None:
    hits = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        passing = 1 / (1 + np.exp(-random.normal(0, 3, 20)))
        model = Abilities(success, n=N, examples=20)
        model.add(drawn(passing, 2, examples=20, seed=seed))
        model.refit()
        belief = model.belief(0)
        truth = np.mean(1 - (1 - passing) ** 16)
        hits.append(abs(belief.means[-1] - truth) <= 2 * belief.draw_errors[-1])
    assert np.mean(hits) >= 0.9


def test_errors_shrink_as_draws_come() -> None:
    passing = np.full(10, 0.4)
    errors = []
    for examples, draws in ((3, 2), (10, 2), (10, 16)):
        model = Abilities(success, n=N, examples=10)
        model.add(drawn(passing, draws, examples=examples, seed=1))
        model.refit()
        errors.append(model.belief(0).draw_errors[2])
    assert errors[0] > errors[1] > errors[2]


def test_an_example_that_is_hard_for_all_is_expected_to_be_hard_for_the_next() -> None:
    easy_half = np.array([0.95] * 10 + [0.02] * 10)
    model = Abilities(success, n=(1,), examples=20)
    for seed in range(4):
        model.add(drawn(easy_half, 8, examples=20, seed=seed))
    newcomer = Pool(arm(0.6), 20, PRICE)
    for index in range(5):
        fill(newcomer, index, [True, True])  # easy ones only
    model.add(newcomer)
    model.refit()
    assert model.belief(4).means[0] == pytest.approx(0.5, abs=0.12)


def test_a_new_arm_is_expected_to_do_as_its_kin() -> None:
    model = Abilities(success, n=(1,), examples=10)
    model.add(drawn(np.full(10, 0.9), 16, examples=10, seed=0, heat=0.2))
    before = model.forecast(arm(0.25)).means[0]
    model.refit()
    kin, stranger = model.forecast(arm(0.25)), model.forecast(arm(0.25, "other"))
    assert kin.means[0] > 0.7 > before
    assert kin.means[0] > stranger.means[0]
    assert kin.draw_errors[0] < stranger.draw_errors[0]


def test_answers_that_repeat_are_worth_one() -> None:
    model = Abilities(success, n=N, examples=6)
    model.add(drawn(np.full(6, 0.5), 1, examples=6, seed=0, heat=0.0))
    model.refit()
    means = model.belief(0).means
    assert means == pytest.approx(np.full(len(N), means[0]))


def test_a_curve_holds_its_last_value_past_the_pool() -> None:
    model = Curves(sign=1.0, n=N, examples=4)
    pool = Pool(arm(), 4, PRICE)
    for index in range(4):
        fill(pool, index, [True])
        pool.cells[index].curve = {1: 2.0, 4: 4.0}
    model.add(pool)
    model.refit()
    assert model.belief(0).means == pytest.approx([2.0, 3.0, 4.0, 4.0, 4.0])


def test_the_prompt_is_paid_once_whatever_n() -> None:
    pool = Pool(arm(), 2, PRICE)
    fill(pool, 0, [True, False], output=10)
    fill(pool, 1, [True], output=30)
    tokens = pool.tokens
    assert tokens is not None
    assert tokens.cost(1, PRICE) == 100 * 1000 + 20 * 2000
    assert tokens.cost(5, PRICE) == 100 * 1000 + 5 * 20 * 2000
    assert 0 < tokens.cost_std_error(1, PRICE) < tokens.cost_std_error(5, PRICE)


def test_rungs_take_examples_first_and_then_draws() -> None:
    ladder = race.rungs(examples=20, n=16, repeats_itself=False)
    assert [(rung.examples, rung.draws) for rung in ladder] == [
        (5, 2),
        (10, 2),
        (20, 2),
        (20, 4),
        (20, 8),
        (20, 16),
    ]
    assert race.rungs(examples=3, n=1, repeats_itself=True)[-1].draws == 2


def test_a_step_that_cannot_change_which_arm_is_best_gains_nothing() -> None:
    def gain(mean: float) -> float:
        return race.gain(mean=mean, rival=0.9, error=0.05, draws=20, draws_after=40)

    assert gain(0.9) > gain(0.85) > gain(0.6)
    assert gain(0.2) == pytest.approx(0.0, abs=1e-9)


def test_near_ties_go_to_the_cheaper() -> None:
    model = Abilities(success, n=N, examples=6)
    pool = drawn(np.ones(6), 16, examples=6, seed=0)
    model.add(pool)
    model.refit()
    ranked = recommend.estimates(pool, model.belief(0), N, limit=10**12, sign=1.0)
    found = recommend.best(ranked, scale=1.0)
    assert found is not None
    assert found.config.n <= 2  # all of them are worth 0.99 and more

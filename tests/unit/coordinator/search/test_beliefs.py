"""What is believed of arms, against truths that are known."""

import numpy as np
import pytest

from coordinator import mixed, recommend
from coordinator.abilities import Abilities
from coordinator.beliefs import Outlook
from coordinator.curves import Curves
from coordinator.gain import Prospects
from coordinator.lengths import Lengths
from coordinator.pool import Pool
from study import space
from study.config import Arm
from study.messages import Paid, Scored
from study.metrics import expected_success, success
from study.prices import Price

PRICE = Price.from_usd(input=1.0, output=2.0)
N = (1, 2, 4, 8, 16)
SPACE = space.parse(
    {"model": ["m", "other"], "prompt": ["{a}", "1{a}"], "n": list(N), "max_tokens": 100},
    api="chat",
)


def abilities(examples: int, *, metric: object = success) -> Abilities:
    return Abilities(metric, n=N, examples=examples, space=SPACE)  # type: ignore[arg-type]


def arm(temperature: float = 0.7, model: str = "m", template: int = 0) -> Arm:
    return Arm(
        model=model, template=template, params={"temperature": temperature, "max_tokens": 100}
    )


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


def drawn(passing: np.ndarray, draws: int, *, seed: int, of: Arm | None = None) -> Pool:
    random = np.random.default_rng(seed)
    pool = Pool(of or arm(), len(passing), PRICE)
    for index in range(len(passing)):
        fill(pool, index, [bool(x) for x in random.random(draws) < passing[index]])
    return pool


@pytest.mark.parametrize("metric", [success, expected_success])
def test_with_many_draws_the_belief_is_the_truth(metric: object) -> None:
    passing = np.array([0.02, 0.1, 0.3, 0.5, 0.9, 0.99] * 3)
    model = abilities(18, metric=metric)
    pool = drawn(passing, 200, seed=0)
    model.fit_anew([pool])
    belief = model.belief(pool)
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
        model = abilities(20)
        pool = drawn(passing, 2, seed=seed)
        model.fit_anew([pool])
        belief = model.belief(pool)
        truth = np.mean(1 - (1 - passing) ** 16)
        hits.append(abs(belief.means[-1] - truth) <= 2 * belief.draw_errors[-1])
    assert np.mean(hits) >= 0.8


def test_errors_shrink_as_draws_come() -> None:
    errors = []
    for examples, draws in ((3, 2), (10, 2), (10, 16)):
        random = np.random.default_rng(1)
        pool = Pool(arm(), 10, PRICE)
        for index in range(examples):
            fill(pool, index, [bool(x) for x in random.random(draws) < 0.4])
        model = abilities(10)
        model.fit([pool])
        errors.append(model.belief(pool).draw_errors[2])
    assert errors[0] > errors[1] > errors[2]


def test_an_example_that_is_hard_for_all_is_expected_to_be_hard_for_the_next() -> None:
    easy_half = np.array([0.95] * 10 + [0.02] * 10)
    pools = [drawn(easy_half, 8, seed=seed) for seed in range(4)]
    newcomer = Pool(arm(0.6), 20, PRICE)
    for index in range(5):
        fill(newcomer, index, [True, True])  # easy ones only
    model = abilities(20)
    model.fit_anew([*pools, newcomer])
    assert model.belief(newcomer).means[0] == pytest.approx(0.5, abs=0.15)


def test_a_new_arm_is_expected_to_do_as_its_kin() -> None:
    pool = drawn(np.full(10, 0.9), 16, seed=0, of=arm(0.2))
    kin, stranger = Pool(arm(0.25), 10, PRICE), Pool(arm(0.25, "other"), 10, PRICE)
    model = abilities(10)
    before = model.belief(kin).means[0]
    model.fit([pool])
    assert model.belief(kin).means[0] > 0.7 > before
    assert model.belief(kin).means[0] > model.belief(stranger).means[0]
    assert model.belief(kin).draw_errors[0] < model.belief(stranger).draw_errors[0]


def test_answers_that_ignore_the_format_leave_a_ceiling() -> None:
    pool = drawn(np.array([0.8] * 12), 64, seed=0)
    model = abilities(12)
    model.fit_anew([pool])
    assert model.belief(pool).means[0] == pytest.approx(0.8, abs=0.03)


def test_answers_that_repeat_are_worth_one() -> None:
    pool = drawn(np.full(6, 0.5), 1, seed=0, of=arm(0.0))
    model = abilities(6)
    model.fit([pool])
    means = model.belief(pool).means
    assert means == pytest.approx(np.full(len(N), means[0]))


def test_the_same_pools_give_the_same_beliefs_whatever_was_believed_before() -> None:
    pools = [drawn(np.linspace(0.1, 0.9, 8), 4, seed=s, of=arm(0.2 * s)) for s in range(4)]
    fresh, used = abilities(8), abilities(8)
    used.fit(pools[:1])
    used.fit(pools[:3])
    for model in (fresh, used):
        model.fit_anew(pools)
    assert used.belief(pools[0]).means == pytest.approx(fresh.belief(pools[0]).means)


def test_a_curve_holds_its_last_value_past_the_pool() -> None:
    model = Curves(sign=1.0, examples=4, space=SPACE)
    pool = Pool(arm(), 4, PRICE)
    for index in range(4):
        fill(pool, index, [True])
        pool.cells[index].curve = {1: 2.0, 4: 4.0}
    model.fit([pool])
    assert model.belief(pool).means == pytest.approx([2.0, 3.0, 4.0, 4.0, 4.0], abs=1e-6)


def test_the_prompt_is_paid_once_whatever_n() -> None:
    pool = Pool(arm(), 2, PRICE)
    fill(pool, 0, [True, False], output=20)
    fill(pool, 1, [True], output=20)
    lengths = Lengths(SPACE, 2)
    lengths.fit([pool])
    (tokens,) = lengths.tokens([pool])
    assert tokens.cost(1, PRICE) == pytest.approx(100 * 1000 + 20 * 2000, rel=0.02)
    assert tokens.cost(5, PRICE) == pytest.approx(100 * 1000 + 5 * 20 * 2000, rel=0.02)
    assert 0 < tokens.cost_std_error(1, PRICE) < tokens.cost_std_error(5, PRICE)


def test_an_arm_seen_on_short_examples_only_is_not_taken_for_a_terse_one() -> None:
    lengths = Lengths(SPACE, 10)
    known = Pool(arm(), 10, PRICE)
    for index in range(10):
        fill(known, index, [True] * 8, output=50 if index < 5 else 400)
    newcomer = Pool(arm(0.5), 10, PRICE)
    for index in range(5):
        fill(newcomer, index, [True] * 8, output=50)
    lengths.fit([known, newcomer])
    assert lengths.tokens([newcomer])[0].output == pytest.approx(225, rel=0.2)


def test_lengths_read_anew_are_those_of_a_first_reading() -> None:
    pool = Pool(arm(), 4, PRICE)
    read, fresh = Lengths(SPACE, 4), Lengths(SPACE, 4)
    for index, output in enumerate((20, 200, 90, 500)):
        fill(pool, index, [True, False], output=output)
        read.fit([pool])
    read.fit_anew([pool])
    fresh.fit([pool])
    assert read.tokens([pool]) == fresh.tokens([pool])


def test_a_frozen_pool_stays_as_it_was_when_more_comes() -> None:
    pool = Pool(arm(), 2, PRICE)
    fill(pool, 0, [True, False])
    frozen = pool.frozen()
    fill(pool, 0, [True])
    fill(pool, 1, [True])
    assert [cell.draws for cell in frozen.cells] == [2, 0]
    assert (frozen.draws, frozen.examples) == (2, 1)
    assert [cell.draws for cell in pool.cells] == [3, 1]


def test_a_few_answers_cut_short_are_not_taken_for_the_rule() -> None:
    random = np.random.default_rng(0)
    pool = Pool(arm(), 20, PRICE)
    for index in range(20):
        for _ in range(4):
            fill(pool, index, [True], output=3 if random.random() < 0.4 else 200)
    lengths = Lengths(SPACE, 20)
    lengths.fit([pool])
    mean = np.mean([c.output_tokens / c.answers for c in pool.cells])
    assert lengths.tokens([pool])[0].output == pytest.approx(mean, rel=0.05)


def outlook(means: list[float], deviations: list[float]) -> Outlook:
    variance = np.array(deviations) ** 2
    count = len(means)
    return Outlook(
        at=[0] * count,
        means=np.array(means),
        covariance=np.diag(variance),
        leverage=np.tile(variance[:, None], (1, 4)),
        spread=np.tile(4 * variance[:, None], (1, 4)),
        information=np.full((count, 4), 100.0),
    )


def best_gain(prospects: Prospects, arm: int, draws: int) -> float:
    arms = np.array([arm])
    return float(prospects.gains(arms, prospects.bundles(draws), np.array([0, 1])).max())


def test_a_step_that_cannot_change_which_arm_is_best_gains_nothing() -> None:
    def gain(mean: float) -> float:
        return best_gain(Prospects(outlook([0.9, mean], [0.01, 0.05]), np.zeros((2, 4))), 1, 4)

    assert gain(0.9) > gain(0.85) > gain(0.6)
    assert gain(0.2) == pytest.approx(0.0, abs=1e-9)


def test_a_step_that_was_planned_is_worth_less_the_second_time() -> None:
    prospects = Prospects(outlook([0.9, 0.9], [0.05, 0.05]), np.zeros((2, 4)))
    before = best_gain(prospects, 0, 1)
    prospects.take(0, np.arange(4), np.full(4, 16.0))
    assert best_gain(prospects, 0, 1) < before / 2


def test_near_ties_go_to_the_cheaper() -> None:
    pool = drawn(np.ones(6), 16, seed=0)
    model, lengths = abilities(6), Lengths(SPACE, 6)
    model.fit_anew([pool])
    lengths.fit([pool])
    ranked = recommend.estimates(
        pool, lengths.tokens([pool])[0], model.belief(pool), N, limit=10**12, sign=1.0
    )
    found = recommend.best(ranked, scale=1.0)
    assert found is not None
    assert found.config.n <= 4  # of all that are worth nearly 1


@pytest.mark.parametrize("columns", [3, 8])
def test_a_fit_agrees_with_the_textbook_on_normal_data(columns: int) -> None:
    """Also where arms are fewer than columns, so that only what they span is looked at."""
    random = np.random.default_rng(0)
    phi, psi = random.normal(size=(5, columns)), random.normal(size=(5, 2))
    target, weights = random.normal(size=(5, 4)), random.uniform(0.5, 2.0, (5, 4))
    found = mixed.fit(phi, psi, mixed.normal(target, weights), examples=4)
    rows = np.zeros((20, columns + 8))
    for a in range(5):
        for e in range(4):
            rows[4 * a + e, :columns] = phi[a]
            rows[4 * a + e, columns + 2 * e : columns + 2 + 2 * e] = psi[a]
    precision = np.eye(columns + 8) + rows.T @ (weights.ravel()[:, None] * rows)
    mode = np.linalg.solve(precision, rows.T @ (weights * target).ravel())
    assert np.r_[found.effects.w, found.effects.v.ravel()] == pytest.approx(mode)
    squares = mode**2 + np.diag(np.linalg.inv(precision))
    of_w, of_v = found.second_moments
    assert of_w == pytest.approx(squares[:columns])
    assert of_v == pytest.approx(squares[columns:].reshape(4, 2).mean(axis=0))
    _, determinant = np.linalg.slogdet(precision)
    likelihood = -0.5 * float((weights * (target - (rows @ mode).reshape(5, 4)) ** 2).sum())
    assert found.evidence == pytest.approx(
        likelihood - 0.5 * float((mode**2).sum()) - 0.5 * determinant
    )
    covariance = rows @ np.linalg.inv(precision) @ rows.T
    reach = found.reach(phi, psi)
    assert reach.variance.ravel() == pytest.approx(np.diag(covariance))
    slopes = random.normal(size=(5, 4))
    sums = np.zeros((5, 20))
    for a in range(5):
        sums[a, 4 * a : 4 * a + 4] = slopes[a]
    assert reach.covariance(slopes) == pytest.approx(sums @ covariance @ sums.T)
    with_sum = (covariance @ sums.T).reshape(5, 4, 5)
    assert reach.with_sum(slopes) == pytest.approx(np.stack([with_sum[a, :, a] for a in range(5)]))

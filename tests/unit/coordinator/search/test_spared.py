"""What stop strings are believed to leave, from answers of arms without any that were looked at cut."""

import numpy as np

from coordinator.abilities import Abilities
from coordinator.pool import Pool
from coordinator.spared import Spared
from study import cuts, space
from study.config import Arm
from study.messages import Paid, Scored, ScoredCut
from study.metrics import success
from study.prices import Price

EXAMPLES = 20
PRICE = Price.from_usd(input=1.0, output=2.0)
SPACE = space.parse(
    {"model": "m", "prompt": "{a}", "n": [1, 4, 16, 64], "max_tokens": 500, "stop": [[], ["x"]]},
    api="chat",
)
OPEN = Arm(model="m", template=0, params={"temperature": 1.0, "max_tokens": 500})
[STOPPED] = cuts.of(SPACE, OPEN)


def drawn(arm: Arm, passes: np.ndarray, spared: np.ndarray | None = None) -> Pool:
    """A pool of passes, [example, draw]; of those, which a stop string spares."""
    pool = Pool(arm, EXAMPLES, PRICE, cuts.of(SPACE, arm))
    for e, own in enumerate(passes):
        found = []
        if spared is not None:
            less = [bool(x) for x in own & spared[e]]
            found = [ScoredCut(arm=STOPPED.key, passes=less, output_tokens=40.0 * len(own))]
        pool.record(
            e,
            Scored(
                trial=0,
                arm=arm.key,
                example=f"tune-{e}",
                first_draw=0,
                draws=len(own),
                passes=[bool(x) for x in own],
                cuts=found,
                paid=Paid(
                    calls=1,
                    prompt_tokens=100,
                    completion_tokens=100 * len(own),
                    cost_nanodollars=1,
                    latency_s=1.0,
                ),
            ),
        )
    return pool


def shares(*pools: Pool) -> np.ndarray:
    found = Spared(EXAMPLES)
    found.fit(pools)
    return found.of(STOPPED)


def test_what_is_lost_of_every_examples_answers_is_expected_of_the_others_too() -> None:
    random = np.random.default_rng(0)
    passes = np.ones((EXAMPLES, 16), dtype=bool)
    passes[12:] = False
    found = shares(drawn(OPEN, passes, random.random(passes.shape) < 0.5))
    assert np.abs(found - 0.5).max() <= 0.11


def test_what_is_lost_on_some_examples_for_good_is_not_believed_to_come_again() -> None:
    passes = np.ones((EXAMPLES, 3), dtype=bool)
    spared = np.ones((EXAMPLES, 3), dtype=bool)
    spared[:8] = False
    found = shares(drawn(OPEN, passes, spared))
    assert (found[:8] < 0.01).all()
    assert (found[8:] == 1).all()


def test_a_stop_is_harmless_where_nothing_was_seen_of_it() -> None:
    passes = np.ones((EXAMPLES, 4), dtype=bool)
    assert (shares() == 1).all()
    assert (shares(drawn(STOPPED, passes)) == 1).all()
    assert (shares(drawn(OPEN, passes, passes)) == 1).all()


def test_where_an_arm_with_the_stop_passed_not_all_can_be_spoilt() -> None:
    passes = np.ones((EXAMPLES, 3), dtype=bool)
    spared = np.ones((EXAMPLES, 3), dtype=bool)
    spared[:8] = False
    passed = np.zeros((EXAMPLES, 2), dtype=bool)
    passed[0, 0] = True
    found = shares(drawn(OPEN, passes, spared), drawn(STOPPED, passed))
    assert found[0] >= 0.1
    assert found[1] < 0.01


def test_an_arm_that_was_never_asked_is_known_by_what_its_stops_left_of_anothers_answers() -> None:
    """Half of each example's answers are lost: of many answers nearly as many examples pass."""
    random = np.random.default_rng(1)
    chances = np.repeat([0.9, 0.5, 0.2, 0.06], 5)
    passes = random.random((EXAMPLES, 64)) < chances[:, None]
    whole = drawn(OPEN, passes, random.random(passes.shape) < 0.5)
    model = Abilities(success, n=SPACE.n, examples=EXAMPLES, space=SPACE)
    model.fit_anew([whole])
    belief = model.belief(Pool(STOPPED, EXAMPLES, PRICE))
    truth = [np.mean(1 - (1 - chances / 2) ** n) for n in SPACE.n]
    assert (np.abs(belief.means - truth) < 2 * belief.draw_errors + 0.02).all()
    assert abs(belief.means[0] - truth[0]) < 0.06

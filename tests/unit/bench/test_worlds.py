"""The benchmark's worlds: what is said to be true of them is what their answers amount to."""

import numpy as np
import pytest

from bench.search import menus, worlds
from bench.search.worlds import DOLLAR, Sampler, Told, world
from rehearsal.problems import Asked
from rehearsal.request import read_request
from study.config import Arm, Config

ARM = Arm(model="h2", template=1, params={"temperature": 0.7, "max_tokens": 90, "stop": ["\ndef "]})


@pytest.fixture(scope="module")
def hot():
    return world("hot", 900)


def test_the_truth_is_the_mean_of_what_is_drawn(hot):
    sampler = Sampler(hot, 0)
    for problem in range(5):
        drawn = sampler.draw(ARM, problem, 20_000)
        chance = hot.pass_probability(ARM)[problem]
        assert drawn.passes.mean() == pytest.approx(chance, abs=0.015)
        assert drawn.tokens.mean() == pytest.approx(hot.expected_tokens(ARM)[problem], rel=0.02)


def test_over_the_wire_it_is_the_same_world(hot):
    told = Told(hot)
    passes, tokens, expected, length = [], [], [], []
    for problem in hot.tuned:
        text = hot.render(ARM.template, problem)
        body = {"model": ARM.model, "messages": [{"role": "user", "content": text}], "n": 100}
        request = read_request("chat", {**body, **ARM.params})
        asked = Asked(problem=hot.problems[problem], template=hot.template_names[ARM.template])
        right = hot.right_answers(problem)
        said = told.draw(asked, request, seed=0)
        passes += [menus.judge(answer.text, right) for answer in said]
        tokens += [answer.tokens for answer in said]
        expected.append(hot.pass_probability(ARM)[problem])
        length.append(hot.expected_tokens(ARM)[problem])
        assert request.prompt_tokens == hot.prompt_tokens[ARM.template, problem]
    assert np.mean(passes) == pytest.approx(np.mean(expected), abs=0.03)
    assert np.mean(tokens) == pytest.approx(np.mean(length), rel=0.03)


def test_the_answers_of_a_cold_call_are_one_text(hot):
    cold = Arm(model="h1", template=0, params={"temperature": 0.0, "max_tokens": 300})
    assert len(set(Sampler(hot, 0).draw(cold, 3, 50).index)) == 1
    assert hot.value(Config(arm=cold, n=50)) == hot.value(Config(arm=cold, n=1))


def test_the_best_on_the_grid_is_feasible_and_what_it_says(hot):
    best = hot.best_feasible()
    assert hot.cost(best.config) == pytest.approx(best.cost)
    assert best.cost <= hot.inference_usd * DOLLAR
    assert hot.value(best.config) == pytest.approx(best.value)
    more = Config(arm=best.config.arm, n=best.config.n + 1)
    assert best.config.n == worlds.N_MAX or hot.cost(more) > hot.inference_limit


def test_no_request_costs_more_than_its_bound(hot):
    price = hot.prices[ARM.model]
    for problem in hot.tuned:
        drawn = Sampler(hot, 0).draw(ARM, problem, 10)
        prompt = hot.prompt_tokens[ARM.template, problem]
        bill = 1000 * (price[0] * prompt + price[1] * drawn.tokens.sum())
        assert bill <= hot.bound(ARM, problem, 10)


def test_talk_is_cut_off_by_its_stop_without_harm():
    talking = world("verbose", 900)
    model, template = talking.models[0], 0
    said = talking.menu(talking.problems[0], model, talking.template_names[template])
    plain = menus.stopped(said, ())
    short = menus.stopped(said, talking.stops[1])
    assert (short.needed == plain.needed).all()
    assert short.tokens.mean() < 0.8 * plain.tokens.mean()


def test_a_seed_is_a_world_and_another_seed_another():
    assert world("hot", 900).surface == world("hot", 900).surface
    assert world("hot", 901).surface != world("hot", 900).surface

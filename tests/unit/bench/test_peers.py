"""The peers' pruning, and how answers are judged."""

from contextlib import closing

import pytest

from bench.search import menus
from bench.search.peers import pruned
from bench.search.worlds import DOLLAR, world


@pytest.fixture(scope="module")
def asked():
    return world("prices-lie", 900)


@pytest.fixture
def job(asked):
    with asked.server() as server:
        yield {
            "base_url": server.base_url,
            "api": asked.api,
            "seed": 0,
            "budget": 0.5,
            "inference_usd": asked.inference_usd,
            "prices": dict(asked.prices),
            "templates": asked.templates,
            "stops": asked.stops,
            "examples": [
                {"prompt": asked.problems[p].prompt, "right": asked.right_answers(p)}
                for p in asked.tuned[:5]
            ],
            "server": server,
        }


@pytest.fixture
def evaluation(job):
    with closing(pruned.Evaluation(job)) as evaluation:
        yield evaluation


def config(model, n, max_tokens=300):
    params = {"temperature": 0.5, "max_tokens": max_tokens}
    return {"model": model, "template": 0, "n": n, "params": params}


def test_what_breaks_the_inference_budget_is_stopped_early_and_remembered(job, evaluation):
    assert evaluation.value(config("p5", 100)) == (0.0, False)
    calls = job["server"].books().calls
    assert evaluation.value(config("p5", 100)) == (0.0, False)
    assert job["server"].books().calls == calls


def test_what_is_within_it_is_evaluated_on_all_data(job, evaluation):
    value, whole = evaluation.value(config("p1", 4))
    assert whole
    assert 0 <= value <= 1
    assert len({r.problem for r in job["server"].books().records}) == 5


def test_what_a_peer_thinks_it_spent_is_what_the_endpoint_billed(job, evaluation):
    evaluation.value(config("p2", 3))
    assert evaluation.spent == pytest.approx(job["server"].books().billed_nanodollars / DOLLAR)


def test_an_answer_is_right_if_its_code_outlived_the_cut():
    right = [("def f(): return 1\n# done", 17)]
    assert menus.judge("def f(): return 1", right)
    assert not menus.judge("def f(): return", right)
    assert not menus.judge("def f(): return 2\n# done", right)

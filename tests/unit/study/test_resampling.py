"""Resampling: a metric of n answers judged together, from the pool of those paid for."""

import itertools
import statistics
from collections.abc import Sequence

import pytest

from study import resampling


def voted(texts: Sequence[str]) -> float:
    """1 where most answers say yes."""
    return float(sum(text == "yes" for text in texts) * 2 > len(texts))


def test_no_answers_have_no_curve() -> None:
    assert resampling.curve(voted, [], seed=0) == {}
    assert resampling.sizes(0) == []


def test_the_sizes_are_few_and_end_with_the_pools_own() -> None:
    assert resampling.sizes(1) == [1]
    assert resampling.sizes(10) == [1, 2, 3, 4, 6, 8, 10]
    for draws in range(1, 300):
        found = resampling.sizes(draws)
        assert found[0] == 1
        assert found[-1] == draws
        assert found == sorted(set(found))
        assert len(found) <= 20


def test_where_the_subsets_are_few_every_one_is_judged() -> None:
    texts = ["yes", "no", "yes", "no"]
    found = resampling.curve(voted, texts, seed=0)
    for n in resampling.sizes(4):
        subsets = itertools.combinations(texts, n)
        assert found[n] == pytest.approx(statistics.fmean(map(voted, subsets)))


def test_where_they_are_many_a_bounded_number_is_judged_each_of_its_size() -> None:
    texts = [f"text {i}" for i in range(40)]
    judged: list[Sequence[str]] = []

    def judge(chosen: Sequence[str]) -> float:
        judged.append(tuple(chosen))
        return float(len(chosen))

    found = resampling.curve(judge, texts, seed=0)
    assert found == {n: float(n) for n in resampling.sizes(40)}
    for n in resampling.sizes(40):
        of_n = [chosen for chosen in judged if len(chosen) == n]
        assert 1 <= len(of_n) <= resampling.SUBSETS_MAX
        assert all(len(set(chosen)) == n for chosen in of_n)  # without replacement


def test_the_same_seed_judges_the_same_subsets_on_every_machine() -> None:
    texts = [f"text {i}" for i in range(40)]

    def judged(seed: int) -> list[tuple[str, ...]]:
        seen: list[tuple[str, ...]] = []

        def judge(chosen: Sequence[str]) -> float:
            seen.append(tuple(chosen))
            return 0.0

        resampling.curve(judge, texts, seed=seed)
        return seen

    assert judged(1) == judged(1)
    assert judged(1) != judged(2)


def test_answers_that_are_the_same_text_are_judged_once() -> None:
    calls = []

    def judge(chosen: Sequence[str]) -> float:
        calls.append(chosen)
        return 1.0

    found = resampling.curve(judge, ["same"] * 50, seed=0)
    assert len(calls) == len(found) == len(resampling.sizes(50))

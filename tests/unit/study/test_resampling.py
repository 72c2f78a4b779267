"""Resampling: a metric of n answers judged together, from the pool of those paid for."""

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

import pytest

from study import metrics, resampling


def voted(texts: Sequence[str]) -> float:
    """1 where most answers say yes."""
    return float(sum(text == "yes" for text in texts) * 2 > len(texts))


def curve(judge: resampling.Judge, texts: Sequence[str]) -> dict[int, float]:
    return resampling.resample(judge, texts, mode="max", seed=0).curve


def test_no_answers_have_no_curve() -> None:
    assert curve(voted, []) == {}
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
    found = curve(voted, texts)
    for n in resampling.sizes(4):
        subsets = itertools.combinations(texts, n)
        assert found[n] == pytest.approx(statistics.fmean(map(voted, subsets)))


def test_where_they_are_many_a_bounded_number_is_judged_each_of_its_size() -> None:
    texts = [f"text {i}" for i in range(40)]
    judged: list[Sequence[str]] = []

    def judge(chosen: Sequence[str]) -> float:
        judged.append(tuple(chosen))
        return 2.0 * len(chosen)

    found = curve(judge, texts)
    assert found == {n: 2.0 * n for n in resampling.sizes(40)}
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

        resampling.resample(judge, texts, mode="max", seed=seed)
        return seen

    assert judged(1) == judged(1)
    assert judged(1) != judged(2)


def test_answers_that_are_the_same_text_are_judged_once() -> None:
    calls = []

    def judge(chosen: Sequence[str]) -> float:
        calls.append(chosen)
        return 1.0

    found = curve(judge, ["same"] * 50)
    assert len(calls) == len(found) == len(resampling.sizes(50))


@pytest.mark.parametrize("name", metrics.RECOGNISED)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_function_that_counts_good_answers_is_recognised(name: str, mode: Any) -> None:
    count_metric = metrics.RECOGNISED[name]

    def judge(chosen: Sequence[str]) -> float:
        value = count_metric(sum(text.startswith("yes") for text in chosen), len(chosen))
        return value if mode == "max" else 1 - value

    for draws in (5, 30):
        texts = [f"yes {i}" if i % 3 else f"no {i}" for i in range(draws)]
        found = resampling.resample(judge, texts, mode=mode, seed=0)
        assert found.counts_as == [name]
        assert found.passes == [bool(i % 3) for i in range(draws)]
    alike = resampling.resample(judge, ["no", "no", "no"], mode=mode, seed=0)
    assert set(alike.counts_as) == set(metrics.RECOGNISED)  # all miss: they tell nothing apart


@pytest.mark.parametrize(
    ("judge", "passes"),
    [
        (lambda texts: float(len(set(texts)) < 2), [True, True, True]),  # looks at them together
        (lambda texts: 0.5 * ("a" in texts), None),  # a grade
        (lambda texts: 2.0 * ("a" in texts), None),
    ],
)
def test_a_function_of_answers_together_is_none_that_counts(
    judge: resampling.Judge, passes: list[bool] | None
) -> None:
    found = resampling.resample(judge, ["a", "b", "a"], mode="max", seed=0)
    assert (found.passes, found.counts_as) == (passes, [])


def test_a_result_tells_of_its_own_draws_only() -> None:
    found = resampling.resample(voted, ["yes", "no", "yes"], mode="max", seed=0)
    told = found.told([0, 4, 5], first_draw=4, draws=2)  # 1 to 3 are still out
    assert (told["passes"], told["curve"]) == ([False, True], found.curve)

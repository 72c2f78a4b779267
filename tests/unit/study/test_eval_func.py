"""The metric in what a user's function returned: a finite number, or a reason that says what to mend."""

from typing import Any

import pytest

from study.eval_func import metric_of


@pytest.mark.parametrize(
    ("returned", "value"),
    [({"right": 1}, 1.0), ({"right": True, "other": "x"}, 1.0), ({"right": "0.5"}, 0.5)],
)
def test_what_reads_as_a_number_is_taken(returned: Any, value: float) -> None:
    assert metric_of(returned, "right") == value


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "no metric 'right', but: None"),
        (0.5, "no metric 'right', but: 0.5"),
        ({"success": 1.0, "votes": 3}, "no metric 'right', but: success, votes"),
        ({"right": float("nan")}, "right = nan, which is not a finite number"),
        ({"right": float("inf")}, "right = inf, which is not a finite number"),
        ({"right": None}, "NoneType"),
        ({"right": "much"}, "could not convert"),
    ],
)
def test_anything_else_says_what_it_was(returned: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        metric_of(returned, "right")

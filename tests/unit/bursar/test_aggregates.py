"""How values over many examples become one."""

import statistics
from typing import Any

import pytest

from bursar import aggregates
from study.errors import SpecError

RESULTS = [
    {"success": 1.0, "length": 10},
    {"success": 0.0, "length": 20},
    {"success": 1.0, "length": 90},
]


def aggregated(agg_method: Any) -> dict[str, Any]:
    return aggregates.over_examples(RESULTS, aggregates.methods(agg_method))


@pytest.mark.parametrize(
    ("agg_method", "expected"),
    [
        ("avg", {"success": pytest.approx(2 / 3), "length": 40}),
        ("median", {"success": 1.0, "length": 20}),
        (max, {"success": 1.0, "length": 90}),
        ({"length": min}, {"length": 10}),
        ({"success": statistics.fmean, "length": sum}, {"success": pytest.approx(2 / 3), "length": 120}),
    ],
)  # fmt: skip
def test_each_metric_is_taken_together(agg_method: Any, expected: dict[str, Any]) -> None:
    assert aggregated(agg_method) == expected


@pytest.mark.parametrize("agg_method", ["mode", 3, {"success": "avg"}])
def test_what_is_no_method_is_refused(agg_method: Any) -> None:
    with pytest.raises(SpecError, match="agg_method"):
        aggregates.methods(agg_method)


def test_a_metric_that_is_not_there_is_named() -> None:
    with pytest.raises(SpecError, match=r"nothing.*success, length"):
        aggregated({"nothing": max})

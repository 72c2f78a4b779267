"""Aggregates: how a metric's values over many examples become one."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from study.errors import SpecError

Aggregate = Callable[[list[float]], float]
NAMED: Final[Mapping[str, Aggregate]] = {
    "avg": statistics.fmean,
    "average": statistics.fmean,
    "median": statistics.median,
}


def methods(agg_method: str | Aggregate | Mapping[str, Aggregate]) -> Any:
    """Read `agg_method`.

    Returns:
        One function for all metrics, or a dict with one for each.

    Raises:
        SpecError: it is neither.
    """
    if isinstance(agg_method, str) and agg_method in NAMED:
        return NAMED[agg_method]
    given = agg_method.values() if isinstance(agg_method, Mapping) else [agg_method]
    if all(callable(method) for method in given):
        return agg_method
    raise SpecError(
        field="agg_method",
        value=agg_method,
        problem="is no way to take values together",
        remedy='give "avg", "median", a function of a list, or a dict of such functions',
    )


def over_examples(results: Sequence[Mapping[str, Any]], methods: Any) -> dict[str, Any]:
    """Take each metric together over all examples.

    Args:
        results: each example's metrics.
        methods: what `methods` returned; of a dict, only the metrics that it names are taken.

    Raises:
        SpecError: it names a metric that there is not.
    """
    names = list(results[0])
    chosen = methods if isinstance(methods, Mapping) else dict.fromkeys(names, methods)
    for name in chosen:
        if name not in names:
            raise SpecError(
                field="agg_method",
                value=name,
                problem="eval_func returns no such metric",
                remedy="it returns: " + ", ".join(names),
            )
    return {name: method([result[name] for result in results]) for name, method in chosen.items()}

"""What a user's own function is, and how the metric is read from what it returns, wherever it runs."""

import math
from collections.abc import Callable, Mapping
from typing import Any

EvalFunc = Callable[..., Mapping[str, Any]]
"""eval_func(responses, **example) -> dict of metrics, as in FLAML."""


def metric_of(returned: object, metric: str) -> float:
    """The metric in what a user's function returned.

    Raises:
        ValueError: if it returned no such metric, or one that is not a number.
        TypeError: the same, of what cannot be one.
    """
    if not isinstance(returned, Mapping) or metric not in returned:
        names = ", ".join(map(str, returned)) if isinstance(returned, Mapping) else repr(returned)
        raise ValueError(
            f"eval_func returned no metric {metric!r}, but: {names[:200]}. Mend metric.name, or "
            "return a dict that has it"
        )
    value = float(returned[metric])
    if not math.isfinite(value):
        raise ValueError(f"eval_func returned {metric} = {value}, which is not a finite number")
    return value

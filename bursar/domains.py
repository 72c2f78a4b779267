"""Domains in Python: small functions for what a study file writes as lists and tables."""

from collections.abc import Sequence
from typing import Any

Domain = dict[str, Any]


def choice(values: Sequence[Any]) -> Domain:
    """One of some values; a plain list means the same, but for `stop`, where it is one constant."""
    return {"choices": list(values)}


def uniform(low: float, high: float) -> Domain:
    """A number from `low` to `high`."""
    return {"low": float(low), "high": float(high)}


def loguniform(low: float, high: float) -> Domain:
    """A number from `low` to `high`, uniform in its logarithm."""
    return {"low": float(low), "high": float(high), "log": True}


def randint(low: int, high: int) -> Domain:
    """A whole number from `low` to `high - 1`, as in FLAML."""
    return {"low": int(low), "high": int(high) - 1}


def lograndint(low: int, high: int) -> Domain:
    """A whole number from `low` to `high - 1`, uniform in its logarithm, as in FLAML."""
    return {"low": int(low), "high": int(high) - 1, "log": True}

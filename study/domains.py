"""Domain: the values that one parameter may take, and the forms in which they are written."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from study.errors import SpecError, shown

NUMBER_MAX: Final = 2**53
"""Ends of ranges: past it a float no longer tells whole numbers apart."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of a few values; with one value, a constant."""

    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number from low to high, both included; `log`: uniform in its logarithm."""

    low: float
    high: float
    log: bool = False
    integer: bool = False


Domain = Choice | Range


def positive_integers(value: object, field: str, *, high: int) -> Domain:
    """Read whole numbers from 1 to `high`.

    Raises:
        SpecError: as `parse`, or where they are not whole or out of bounds.
    """
    domain = numbers(value, field, low=1, high=high)
    given = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
    if any(number != int(number) for number in given):
        raise SpecError(
            field=field,
            value=value,
            problem="not whole numbers",
            remedy=f"write whole numbers from 1 to {high}",
        )
    if isinstance(domain, Choice):
        return Choice(values=tuple(int(v) for v in domain.values))
    return Range(low=int(domain.low), high=int(domain.high), log=domain.log, integer=True)


def numbers(value: object, field: str, *, low: float, high: float) -> Domain:
    """Read numbers from `low` to `high`.

    Raises:
        SpecError: as `parse`, or where they are no numbers or out of bounds.
    """
    domain = parse(value, field)
    given = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
    for number in given:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise SpecError(
                field=field,
                value=value,
                problem=f"{shown(number)} is not a number",
                remedy=f"write a number from {low} to {high}, a list, or {{low = ..., high = ...}}",
            )
        if not low <= number <= high:
            raise SpecError(
                field=field,
                value=value,
                problem=f"{shown(number)} is outside {low} to {high}",
                remedy=f"choose values from {low} to {high}",
            )
    return domain


def parse(value: object, field: str) -> Domain:
    """Read a domain: a list is a choice, {low, high} a range, anything else a constant.

    Raises:
        SpecError: naming the field, its value and the remedy.
    """
    _check_json(value, field)
    if isinstance(value, list):
        if not value:
            raise empty(field, value)
        return Choice(values=tuple(value))
    if isinstance(value, dict) and set(value) == {"choices"} and isinstance(value["choices"], list):
        return parse(value["choices"], field)
    if isinstance(value, dict) and "low" in value and "high" in value:
        return _range(value, field)
    if isinstance(value, dict) and {"low", "high"} & set(value):
        raise SpecError(
            field=field,
            value=value,
            problem="half a range",
            remedy="give both ends: {low = ..., high = ...}",
        )
    return Choice(values=(value,))


def _check_json(value: object, field: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise SpecError(
            field=field,
            value=value,
            problem="can't be sent to an API",
            remedy="write numbers that are finite, texts, true, false, lists and tables of those",
        ) from exc


def _range(value: dict[str, Any], field: str) -> Domain:
    unknown = sorted(set(value) - {"low", "high", "log", "integer"})
    low, high, log = value["low"], value["high"], value.get("log", False)
    integer = value.get("integer", isinstance(low, int) and isinstance(high, int))
    problem, remedy = "", "write for example {low = 50, high = 1000, log = true}"
    if unknown:
        problem = f"a range has no {', '.join(unknown)}"
    elif not all(_is_number(end) for end in (low, high)):
        problem = "low and high are not both numbers"
    elif not (isinstance(log, bool) and isinstance(integer, bool)):
        problem = "log and integer are true or false"
    elif low > high:
        problem, remedy = "low is above high", "swap them"
    elif log and low <= 0:
        problem, remedy = "a logarithmic range starts above 0", "raise low, or leave log out"
    elif integer and not all(float(end).is_integer() for end in (low, high)):
        problem, remedy = "the ends are not whole numbers", "mend them, or leave integer out"
    if problem:
        raise SpecError(field=field, value=value, problem=problem, remedy=remedy)
    if low == high:
        return Choice(values=(low,))
    return Range(low=low, high=high, log=log, integer=integer)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= NUMBER_MAX  # false for nan, and safe for an int of any length
    )


def empty(field: str, value: object) -> SpecError:
    """The error of a domain without a value."""
    return SpecError(
        field=field,
        value=value,
        problem="the search space is empty here",
        remedy="give at least one value",
    )


def sizes(domains: Sequence[Domain]) -> float:
    """How many combinations there are; infinity where a range is continuous."""
    size = 1.0
    for domain in domains:
        if isinstance(domain, Choice):
            size *= len(domain.values)
        elif domain.integer:
            size *= domain.high - domain.low + 1
        else:
            return math.inf
    return size

"""SearchSpace: what may be tried, read from the `[space]` table into a few kinds of domain."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from study import templates
from study.errors import SpecError
from study.templates import Template

DEFAULT_MODELS: Final = ("gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.4")
DEFAULT_TEMPERATURE_HIGH: Final = 1.0
N_MAX: Final = 128
"""The most answers that OpenAI gives to one request."""
MAX_TOKENS_MAX: Final = 1_000_000
RESERVED: Final = ("stream", "stream_options", "store", "seed")
"""Parameters that a study sets itself or that break its books."""


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


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What may be tried.

    Args:
        models: names of models.
        templates: the prompts.
        n: how many answers may be asked for, ascending.
        temperature: its domain, where temperature may be set.
        top_p: its domain, where top_p may be set. Where both are given, an arm sets one of the two.
        params: the domains of the other API parameters, among them max_tokens and stop.
    """

    models: tuple[str, ...]
    templates: tuple[Template, ...]
    n: tuple[int, ...]
    temperature: Domain | None
    top_p: Domain | None
    params: Mapping[str, Domain] = field(default_factory=dict)


def parse(table: Mapping[str, Any], *, api: str) -> SearchSpace:
    """Read the `[space]` table.

    Raises:
        SpecError: naming the key, its value and the remedy.
    """
    rest = dict(table)
    for name in RESERVED:
        if name in rest:
            raise SpecError(
                field=f"space.{name}",
                value=rest[name],
                problem="bursar sets this itself",
                remedy="leave it out",
            )
    space_templates = _templates(rest)
    models = _strings(rest.pop("model", list(DEFAULT_MODELS)), "space.model")
    temperature, top_p = _temperature_or_top_p(rest)
    n = _n(rest.pop("n", {"low": 1, "high": 100}))
    params: dict[str, Domain] = {}
    max_tokens = rest.pop("max_tokens", {"low": 50, "high": 1000, "log": True})
    params["max_tokens"] = _positive_integers(max_tokens, "space.max_tokens", MAX_TOKENS_MAX)
    if "stop" in rest:
        stop = _stop(rest.pop("stop"))
        if stop is not None:
            params["stop"] = stop
    if "best_of" in rest and api != "completions":
        raise SpecError(
            field="space.best_of",
            value=rest["best_of"],
            problem="only the completions API takes best_of",
            remedy='set endpoint.api = "completions" or leave it out',
        )
    for name, value in rest.items():
        domain = _domain(value, f"space.{name}")
        if name == "best_of":
            domain = _positive_integers(value, "space.best_of", N_MAX)
        params[name] = domain
    return SearchSpace(
        models=models,
        templates=space_templates,
        n=n,
        temperature=temperature,
        top_p=top_p,
        params=params,
    )


def _templates(rest: dict[str, Any]) -> tuple[Template, ...]:
    if "prompt" in rest and "messages" in rest:
        raise SpecError(
            field="space.messages",
            value=rest["messages"],
            problem="prompt and messages are both given",
            remedy="give one of the two",
        )
    if "messages" in rest:
        given = rest.pop("messages")
        if isinstance(given, list) and given and isinstance(given[0], dict) and "role" in given[0]:
            given = [given]  # one list of messages: a constant
        if not isinstance(given, list) or not given:
            raise _empty("space.messages", given)
        for index, messages in enumerate(given):
            if not _is_column(messages):
                templates.check_messages(messages, field=f"space.messages[{index}]")
        return tuple(given)
    given = rest.pop("prompt", "{prompt}")
    if isinstance(given, str | dict):
        given = [given]
    if not isinstance(given, list) or not given:
        raise _empty("space.prompt", given)
    for index, text in enumerate(given):
        if not _is_column(text):
            if not isinstance(text, str):
                raise SpecError(
                    field=f"space.prompt[{index}]",
                    value=text,
                    problem="not a text",
                    remedy='write a template such as "{prompt}", or use space.messages',
                )
            templates.names(text, field=f"space.prompt[{index}]")
    return tuple(given)


def _is_column(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"column"}


def _temperature_or_top_p(rest: dict[str, Any]) -> tuple[Domain | None, Domain | None]:
    both: Any = rest.pop("temperature_or_top_p", None)
    own = {name: rest.pop(name) for name in ("temperature", "top_p") if name in rest}
    if len(own) == 2 or (own and both):
        raise SpecError(
            field="space."
            + " and space.".join([*own, *(["temperature_or_top_p"] if both else [])]),
            value=own or both,
            problem="temperature and top_p would both be set",
            remedy="give one of temperature, top_p and temperature_or_top_p",
        )
    if both is None and not own:
        both = True
    if both is True:
        both = {
            "temperature": {"low": 0.0, "high": DEFAULT_TEMPERATURE_HIGH},
            "top_p": {"low": 0.0, "high": 1.0},
        }
    if both is False:
        both = {}
    if isinstance(both, list):  # FLAML's form: a choice of {"temperature": ...} and {"top_p": ...}
        both = {name: value for item in both for name, value in item.items()}
    given: Any = own or both
    if not isinstance(given, dict) or set(given) - {"temperature", "top_p"}:
        raise SpecError(
            field="space.temperature_or_top_p",
            value=both,
            problem="not true, false, or a table of temperature and top_p",
            remedy="write temperature_or_top_p = true",
        )
    domains: dict[str, Domain] = {}
    for name, high in (("temperature", 2.0), ("top_p", 1.0)):
        if name in given:
            domain = _numbers(given[name], f"space.{name}", 0.0, high)
            if isinstance(domain, Range):  # {low = 0, high = 1} is still a continuous range
                domain = replace(domain, integer=False)
            domains[name] = domain
    return domains.get("temperature"), domains.get("top_p")


def _n(value: object) -> tuple[int, ...]:
    domain = _positive_integers(value, "space.n", N_MAX)
    if isinstance(domain, Choice):
        return tuple(sorted(set(domain.values)))
    return tuple(range(int(domain.low), int(domain.high) + 1))


def _stop(value: object) -> Choice | None:
    """A string or a list of strings is a constant; a list of lists is a choice."""
    if value is None:
        return None
    if isinstance(value, str):
        return Choice(values=([value],))
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return Choice(values=(value,))
    if isinstance(value, list) and value:
        choices = tuple([item] if isinstance(item, str) else (item or None) for item in value)
        if all(
            item is None or (isinstance(item, list) and all(isinstance(s, str) for s in item))
            for item in choices
        ):
            return Choice(values=choices)
    raise SpecError(
        field="space.stop",
        value=value,
        problem="not a stop string, a list of them, or a list of such lists",
        remedy='write stop = [["\\nclass", "\\ndef"]]',
    )


def _strings(value: object, field: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise _empty(field, value)
    for item in values:
        if not isinstance(item, str) or not item:
            raise SpecError(
                field=field, value=item, problem="not a name", remedy="write a list of strings"
            )
    return tuple(dict.fromkeys(values))


def _positive_integers(value: object, field: str, high: int) -> Domain:
    domain = _numbers(value, field, 1, high)
    numbers = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
    if any(number != int(number) for number in numbers):
        raise SpecError(
            field=field, value=value, problem="not whole numbers", remedy="write whole numbers"
        )
    if isinstance(domain, Choice):
        return Choice(values=tuple(int(v) for v in domain.values))
    return Range(low=int(domain.low), high=int(domain.high), log=domain.log, integer=True)


def _numbers(value: object, field: str, low: float, high: float) -> Domain:
    domain = _domain(value, field)
    numbers = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise SpecError(
                field=field,
                value=value,
                problem=f"{number!r} is not a number",
                remedy=f"write a number from {low} to {high}, a list, or {{low = ..., high = ...}}",
            )
        if not low <= number <= high:
            raise SpecError(
                field=field,
                value=value,
                problem=f"{number} is outside {low} to {high}",
                remedy=f"choose values from {low} to {high}",
            )
    return domain


def _domain(value: object, field: str) -> Domain:
    if isinstance(value, list):
        if not value:
            raise _empty(field, value)
        return Choice(values=tuple(value))
    if isinstance(value, dict) and set(value) == {"choices"} and isinstance(value["choices"], list):
        return _domain(value["choices"], field)
    if isinstance(value, dict) and "low" in value and "high" in value:
        return _range(value, field)
    if isinstance(value, dict) and {"low", "high"} & set(value):
        raise SpecError(
            field=field, value=value, problem="half a range", remedy="write {low = ..., high = ...}"
        )
    return Choice(values=(value,))


def _range(value: dict[str, Any], field: str) -> Domain:
    unknown = set(value) - {"low", "high", "log", "integer"}
    low, high, log = value["low"], value["high"], value.get("log", False)
    numbers = [x for x in (low, high) if isinstance(x, int | float) and not isinstance(x, bool)]
    if unknown or len(numbers) != 2 or not all(map(math.isfinite, numbers)) or low > high:
        raise SpecError(
            field=field,
            value=value,
            problem=f"unknown keys: {sorted(unknown)}" if unknown else "low must be at most high",
            remedy="write {low = 50, high = 1000, log = true}",
        )
    if log and low <= 0:
        raise SpecError(
            field=field,
            value=value,
            problem="a logarithmic range starts above 0",
            remedy="raise low, or leave log out",
        )
    if low == high:
        return Choice(values=(low,))
    integer = value.get("integer", isinstance(low, int) and isinstance(high, int))
    return Range(low=low, high=high, log=bool(log), integer=bool(integer))


def _empty(field: str, value: object) -> SpecError:
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

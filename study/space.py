"""SearchSpace: what may be tried, read from the `[space]` table into a few kinds of domain."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from study import domains, templates
from study.domains import Choice as Choice
from study.domains import Domain as Domain
from study.domains import Range as Range
from study.domains import sizes as sizes
from study.errors import SpecError
from study.templates import Template

DEFAULT_MODELS: Final = ("gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.4")
DEFAULT_TEMPERATURE_HIGH: Final = 1.0
N_MAX: Final = 128
"""The most answers that OpenAI gives to one request."""
MAX_TOKENS_MAX: Final = 1_000_000
RESERVED: Final = {
    **dict.fromkeys(("stream", "stream_options", "store", "seed", "timeout"), "leave it out"),
    **dict.fromkeys(
        ("max_completion_tokens", "max_output_tokens"),
        "write max_tokens; it is sent under the name that the model knows",
    ),
    **dict.fromkeys(("api_key", "extra_headers"), "keys are the environment's: set OPENAI_API_KEY"),
    "base_url": "write it under [endpoint]",
    **dict.fromkeys(
        ("service_tier", "prediction", "web_search_options", "modalities", "audio", "suffix"),
        "leave it out: it is billed in ways that no worst case bounds",
    ),
}
"""Parameters that a study sets itself, or that would break its books, and what to do instead."""
OWN: Final = ("model", "prompt", "messages", "temperature", "top_p", "temperature_or_top_p", "n",
              "max_tokens", "stop", "best_of")  # fmt: skip
"""The parameters that bursar understands; any other is handed to the API as it is."""
OTHERS: Final = ("echo", "extra_body", "frequency_penalty", "logit_bias", "logprobs",
                 "presence_penalty", "reasoning_effort", "response_format", "tool_choice", "tools",
                 "top_logprobs", "user", "verbosity")  # fmt: skip
"""Parameters often passed on: with OWN, what a misspelt name is compared with."""
ALIKE: Final = 0.85
"""Above it a name is taken for a misspelling: `temprature`, but not `top_k` or `min_tokens`."""


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
    _check_names(rest, api=api)
    space_templates = _templates(rest)
    models = _strings(rest.pop("model", list(DEFAULT_MODELS)), "space.model")
    temperature, top_p = _temperature_or_top_p(rest)
    n = _n(rest.pop("n", {"low": 1, "high": 100}))
    params: dict[str, Domain] = {}
    max_tokens = rest.pop("max_tokens", {"low": 50, "high": 1000, "log": True})
    params["max_tokens"] = domains.positive_integers(
        max_tokens, "space.max_tokens", high=MAX_TOKENS_MAX
    )
    if "stop" in rest:
        stop = _stop(rest.pop("stop"))
        if stop is not None:
            params["stop"] = stop
    if "best_of" in rest:
        params["best_of"] = domains.positive_integers(
            rest.pop("best_of"), "space.best_of", high=N_MAX
        )
    for name, value in rest.items():
        params[name] = domains.parse(value, f"space.{name}")
    return SearchSpace(
        models=models,
        templates=space_templates,
        n=n,
        temperature=temperature,
        top_p=top_p,
        params=params,
    )


def _check_names(table: Mapping[str, Any], *, api: str) -> None:
    inner = table.get("extra_body")
    smuggled = set(inner) & {*RESERVED, *OWN} if isinstance(inner, dict) else set()
    for name in sorted({*table, *smuggled}):
        where = "space" if name in table else "space.extra_body"
        if name in RESERVED or name in smuggled:
            raise SpecError(
                field=f"{where}.{name}",
                problem="is not a study's to set",
                remedy=RESERVED.get(name, f"write {name} under [space] itself"),
            )
        close = difflib.get_close_matches(name, [*OWN, *OTHERS], n=1, cutoff=ALIKE)
        if close and close[0] != name:
            raise SpecError(
                field=f"space.{name}",
                value=table[name],
                problem="unknown parameter",
                remedy=f"mend its name (did you mean {close[0]}?) or remove it",
            )
    for name, only in (("best_of", "completions"), ("messages", "chat")):
        if name in table and api != only:
            raise SpecError(
                field=f"space.{name}",
                value=table[name],
                problem=f"only the {only} API takes {name}",
                remedy=f'set endpoint.api = "{only}", or leave {name} out',
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
        if isinstance(given, dict):
            given = [given]
        if not isinstance(given, list) or not given:
            raise domains.empty("space.messages", given)
        for index, messages in enumerate(given):
            if not _is_column(messages):
                field = f"space.messages[{index}]"
                templates.check_messages(messages, field=field)
                for message in messages:
                    templates.names(message["content"], field=field)
        return tuple(given)
    given = rest.pop("prompt", "{prompt}")
    if isinstance(given, str | dict):
        given = [given]
    if not isinstance(given, list) or not given:
        raise domains.empty("space.prompt", given)
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
    return isinstance(value, dict) and set(value) == {"column"} and isinstance(value["column"], str)


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
    if isinstance(both, list) and all(
        isinstance(item, dict) for item in both
    ):  # FLAML's form: a choice of {"temperature": ...} and {"top_p": ...}
        both = {name: value for item in both for name, value in item.items()}
    given: Any = own or both
    if not isinstance(given, dict) or set(given) - {"temperature", "top_p"}:
        raise SpecError(
            field="space.temperature_or_top_p",
            value=both,
            problem="not true, false, or a table of temperature and top_p",
            remedy="write temperature_or_top_p = true, or {temperature = {low = 0, high = 1}, "
            "top_p = [0.9, 1]}",
        )
    found: dict[str, Domain] = {}
    for name, high in (("temperature", 2.0), ("top_p", 1.0)):
        if name in given:
            domain = domains.numbers(given[name], f"space.{name}", low=0.0, high=high)
            if isinstance(domain, Range):  # {low = 0, high = 1} is still a continuous range
                domain = replace(domain, integer=False)
            found[name] = domain
    return found.get("temperature"), found.get("top_p")


def _n(value: object) -> tuple[int, ...]:
    domain = domains.positive_integers(value, "space.n", high=N_MAX)
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
        raise domains.empty(field, value)
    for item in values:
        if not isinstance(item, str) or not item:
            raise SpecError(
                field=field,
                value=item,
                problem="not a name",
                remedy="write a name in quotes, or a list of such names",
            )
    return tuple(dict.fromkeys(values))

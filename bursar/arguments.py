"""Arguments: what `tune`, `create` and `test` are called with, as a study and its prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bursar.callables import Prompts
from bursar.verdicts import python_tests
from coordinator.data import tables
from study.errors import SpecError
from study.eval_func import EvalFunc
from study.evaluators import PYTHON_TESTS
from study.spec import StudySpec

TABLES: Final = ("endpoint", "limits", "price", "sandbox", "run", "name")
"""Arguments that are tables of the study file rather than parameters of the API."""
NO_LIMIT_USD: Final = 9e6
"""The largest amount that is exact; what "no budget" means."""
NOT_TAKEN: Final = {
    "config_list": "give endpoint={...} for where to ask and model=[...] for what; keys are the "
    "environment's: set OPENAI_API_KEY",
    "filter_func": "leave it out: let eval_func judge the answers",
    "raise_error": "leave it out: what is wrong is always raised",
    "allow_format_str_template": "leave it out: a prompt is always a template; write {{ and }} for "
    "braces",
}
"""What FLAML takes and bursar does not, and what to do instead; it would be sent to the API."""
IN_THIS_PROCESS: Final = "in_this_process:eval_func"
"""Names an evaluator that workers can't import: the coordinator calls it."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """A call's arguments, read.

    Args:
        spec: the study that they mean.
        prompts: the prompts as the user gave them.
        where: the tables that a request needs, too: which API, at what price.
    """

    spec: StudySpec
    prompts: Prompts
    where: Mapping[str, Any]

    def public(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A config of the study as the user knows it: callables in their places, ready for `create`."""
        shown = [
            f"{{{template['column']}}}" if isinstance(template, dict) else template
            for template in self.prompts.templates
        ]
        field = "messages" if "messages" in config else "prompt"
        return {**config, field: self.prompts.given[shown.index(config[field])], **self.where}


def of_tune(
    data: Sequence[Mapping[str, Any]],
    *,
    metric: str,
    mode: str,
    eval_func: EvalFunc | str | None,
    inference_budget: float | None,
    optimization_budget: float | None,
    num_samples: int,
    config: Mapping[str, Any],
) -> Arguments:
    """Read the arguments of `tune`; see there.

    Raises:
        SpecError: naming the argument, its value and the remedy.
        DataError: the data is no list of rows.
    """
    if num_samples == 0:
        raise SpecError(
            field="num_samples",
            value=0,
            problem="leaves nothing to do",
            remedy="give the most trials, or -1 for as many as the money allows",
        )
    if optimization_budget is None and num_samples == -1:
        raise SpecError(
            field="optimization_budget",
            value=None,
            problem="nothing bounds the tuning",
            remedy="give optimization_budget in dollars, or num_samples",
        )
    evaluator = evaluator_of(eval_func)
    budget = {
        "optimization_usd": NO_LIMIT_USD if optimization_budget is None else optimization_budget,
        "inference_usd": NO_LIMIT_USD if inference_budget is None else inference_budget,
        "trials": num_samples,
    }
    return _read(
        config,
        rows=len(tables(data)),
        metric={"name": metric, "mode": mode, "evaluator": evaluator},
        budget=budget,
    )


def of_request(config: Mapping[str, Any]) -> Arguments:
    """Read the arguments of one request: constants only.

    Raises:
        SpecError: naming a parameter that is none.
    """
    given = {"temperature_or_top_p": False, "n": 1, **config}
    if {"temperature", "top_p"} & set(given):
        del given["temperature_or_top_p"]
    for name in ("model", "max_tokens"):
        if name not in given:
            raise SpecError(
                field=name,
                problem="is missing",
                remedy=f"give {name}, as the config that `tune` returned does",
            )
    read = _read(given, rows=1, metric={}, budget=_ANY_BUDGET)
    space = read.spec.search_space
    sizes = {"model": len(space.models), "prompt": len(space.templates), "n": len(space.n)}
    sizes |= {name: len(getattr(domain, "values", "..")) for name, domain in space.params.items()}
    for name, domain in (("temperature", space.temperature), ("top_p", space.top_p)):
        sizes |= {} if domain is None else {name: len(getattr(domain, "values", ".."))}
    for name, size in sizes.items():
        if size != 1:
            raise SpecError(
                field=name,
                value=given.get(name),
                problem="a request takes one value, not a choice",
                remedy="give a constant",
            )
    return read


_ANY_BUDGET: Final = {"optimization_usd": NO_LIMIT_USD, "inference_usd": NO_LIMIT_USD}


def evaluator_of(eval_func: EvalFunc | str | None) -> str:
    """How a study names an evaluator.

    Raises:
        SpecError: it is no function.
    """
    if eval_func is None or eval_func is python_tests:
        return PYTHON_TESTS
    if isinstance(eval_func, str):
        return eval_func
    if not callable(eval_func):
        raise SpecError(
            field="eval_func",
            value=eval_func,
            problem="is no function",
            remedy="give eval_func(responses, **example) -> dict, or 'package.module:function'",
        )
    return IN_THIS_PROCESS


def _read(
    config: Mapping[str, Any], *, rows: int, metric: dict[str, Any], budget: Mapping[str, Any]
) -> Arguments:
    for name, remedy in NOT_TAKEN.items():
        if name in config:  # its value is not shown: a config_list holds keys
            raise SpecError(field=name, problem="is an argument of FLAML only", remedy=remedy)
    try:
        return _read_tables(config, rows=rows, metric=metric, budget=budget)
    except RecursionError as exc:
        raise SpecError(
            field="config",
            problem="has lists or tables that are nested too deeply",
            remedy="write them flatter",
        ) from exc


def _read_tables(
    config: Mapping[str, Any], *, rows: int, metric: dict[str, Any], budget: Mapping[str, Any]
) -> Arguments:
    sections = {name: config[name] for name in TABLES if config.get(name) is not None}
    space = {name: _plain(value) for name, value in config.items() if name not in TABLES}
    for name, value in space.items():
        if isinstance(value, dict) and set(value) == {"choices"}:
            _check_choices(value["choices"], name)
    field = "messages" if "messages" in space else "prompt"
    prompts = Prompts.read(_prompts(space.get(field, "{prompt}"), field), field=field)
    if "stop" in space:
        space["stop"] = _stop(config["stop"])
    if isinstance(space.get("model"), Mapping) and set(space["model"]) == {"choices"}:
        space["model"] = space["model"]["choices"]
    spec = StudySpec.parse(
        {
            "name": "python",
            "data": {"path": "given in Python", "tune_size": max(1, rows)},
            "metric": metric,
            "budget": {name: _plain(value) for name, value in budget.items()},
            "space": {**space, field: list(prompts.templates)},
            **sections,
        }
    )
    where: dict[str, Any] = {
        name: sections[name] for name in ("endpoint", "price") if name in sections
    }
    return Arguments(spec=spec, prompts=prompts, where=where)


def _check_choices(given: Any, field: str) -> None:
    if not isinstance(given, list):
        raise SpecError(
            field=field,
            value=given,
            problem="is no list of choices",
            remedy="give bursar.choice([...])",
        )


def _prompts(given: Any, field: str) -> list[Any]:
    """The prompts one by one: a single one, a list, or a choice."""
    if isinstance(given, Mapping) and set(given) == {"choices"}:
        return list(given["choices"])
    if not isinstance(given, list):
        return [given]
    if field == "messages" and given and isinstance(given[0], Mapping) and "role" in given[0]:
        return [given]
    return given


def _stop(given: Any) -> Any:
    """A list of strings is one constant; a choice is a list of alternatives."""
    plain = _plain(given)
    if isinstance(plain, Mapping) and set(plain) == {"choices"}:
        return [[one] if isinstance(one, str) else (one or []) for one in plain["choices"]]
    return plain


def _plain(value: Any) -> Any:
    """A value in JSON's own types: numpy's numbers and tuples become Python's numbers and lists."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    item = getattr(value, "item", None)
    return item() if callable(item) and not isinstance(value, type) else value

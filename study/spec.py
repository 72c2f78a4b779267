"""StudySpec: what a study file says, validated once, with errors that name field and remedy."""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study import money, space
from study.errors import SpecError
from study.space import SearchSpace

BUILT_IN_METRICS = ("success", "expected_success", "pass_rate")
SEED_MAX = 2**32 - 1
"""What numpy takes as a seed."""


class Section(BaseModel):
    """A table of the study file: unknown keys are refused, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSpec(Section):
    """`[data]`: where the examples come from; `tune_size` of them tune, the rest are held out."""

    path: str = Field(min_length=1, examples=["openai/openai_humaneval"])
    name: str | None = None
    split: str | None = None
    shuffle_seed: int | None = Field(default=None, ge=0, le=SEED_MAX)
    tune_size: int = Field(default=20, ge=1)
    id_column: str | None = None


class MetricSpec(Section):
    """`[metric]`: what is made large (or small), and who measures it."""

    name: str = "expected_success"
    mode: Literal["max", "min"] = "max"
    evaluator: str = "python_tests"
    timeout_s: float = Field(default=120.0, gt=0, le=3600, allow_inf_nan=False)
    """Of one call of a user's function; programs have `[sandbox] timeout_s`."""


class BudgetSpec(Section):
    """`[budget]`: dollars for the tuning, dollars for one request afterwards, trials."""

    optimization_usd: float = Field(gt=0, le=9e6, allow_inf_nan=False, examples=[4.0])
    inference_usd: float = Field(gt=0, le=9e6, allow_inf_nan=False, examples=[0.1])
    trials: int = Field(default=-1, ge=-1, le=1_000_000)

    @property
    def optimization_nanodollars(self) -> int:
        """The limit of the study's account."""
        return money.limit_from_usd(self.optimization_usd)

    @property
    def inference_nanodollars(self) -> int:
        """What one request may cost on average."""
        return money.limit_from_usd(self.inference_usd)


class EndpointSpec(Section):
    """`[endpoint]`: which API answers. Keys are never here: they are the environment's."""

    provider: Literal["openai", "azure"] = "openai"
    api: Literal["chat", "completions"] = "chat"
    base_url: str | None = None
    api_version: str | None = None
    timeout_s: float = Field(default=60.0, gt=0, le=3600)


class LimitsSpec(Section):
    """`[limits]`: of the fleet, per model; `concurrency` is the study's evaluations in flight."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=32, ge=1, le=10_000)


class PriceSpec(Section):
    """`[[price]]`: dollars per million tokens, for a model that the table lacks or has wrong."""

    model: str = Field(min_length=1, examples=["my-model"])
    input: float = Field(ge=0, le=1e6, allow_inf_nan=False, examples=[0.15])
    output: float = Field(ge=0, le=1e6, allow_inf_nan=False, examples=[0.6])


class SandboxSpec(Section):
    """`[sandbox]`: what one generated program may use."""

    timeout_s: float = Field(default=3.0, ge=0.05, le=600)
    memory_mb: int = Field(default=256, ge=32, le=65_536)
    packages: list[str] = []
    runtime: str | None = None
    image: str | None = None
    evaluations_per_container: int = Field(default=1, ge=1, le=1000)


class RunSpec(Section):
    """`[run]`: the seed of the search."""

    seed: int = Field(default=0, ge=0, le=SEED_MAX)


class StudySpec(Section):
    """A whole study file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["humaneval"])
    data: DataSpec
    metric: MetricSpec = MetricSpec()
    budget: BudgetSpec
    space: dict[str, Any] = {}
    endpoint: EndpointSpec = EndpointSpec()
    limits: LimitsSpec = LimitsSpec()
    price: list[PriceSpec] = []
    sandbox: SandboxSpec = SandboxSpec()
    run: RunSpec = RunSpec()

    @cached_property
    def search_space(self) -> SearchSpace:
        """The `[space]` table, read."""
        return space.parse(self.space, api=self.endpoint.api)

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Self:
        """Validate a study given as nested tables.

        Raises:
            SpecError: naming the first wrong field, its value and the remedy.
        """
        try:
            spec = cls.model_validate(dict(table))
            _check_across_fields(spec)
            _ = spec.search_space  # raises where the space is wrong
            _check_names(spec.space)
        except ValidationError as exc:
            raise _translated(exc) from exc
        except RecursionError as exc:
            raise _too_deep() from exc
        return spec

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and validate a study file.

        Raises:
            SpecError: if it can't be read, is not TOML, or is wrong.
        """
        try:
            content = path.read_bytes()
        except (OSError, ValueError) as exc:  # ValueError: no path at all
            raise SpecError(
                field="STUDY.toml",
                value=str(path),
                problem=f"can't be read ({getattr(exc, 'strerror', None) or exc})",
                remedy="give the path of a study file; examples/ has some",
            ) from exc
        try:
            table = tomllib.loads(content.decode())
        except RecursionError as exc:
            raise _too_deep() from exc
        except ValueError as exc:  # no UTF-8, no TOML, or a number with thousands of digits
            raise SpecError(
                field="STUDY.toml",
                value=str(path),
                problem=f"is not TOML ({exc})",
                remedy="mend the line named",
            ) from exc
        return cls.parse(table)


def _too_deep() -> SpecError:
    return SpecError(
        field="STUDY.toml",
        problem="has tables or lists that are nested too deeply",
        remedy="write them flatter",
    )


def _check_across_fields(spec: StudySpec) -> None:
    _check_budget(spec.budget)
    _check_endpoint(spec.endpoint)
    _check_metric(spec.metric)
    _check_sandbox(spec.sandbox)
    models = [price.model for price in spec.price]
    for model in models:
        if models.count(model) > 1:
            raise SpecError(
                field="price",
                value=model,
                problem="this model has two prices",
                remedy="keep one [[price]] for each model",
            )


def _check_budget(budget: BudgetSpec) -> None:
    if budget.inference_nanodollars == 0:
        raise SpecError(
            field="budget.inference_usd",
            value=budget.inference_usd,
            problem="is nothing once rounded down to billionths of a dollar",
            remedy="raise it: it is what one request may cost",
        )
    if budget.trials == 0:
        raise SpecError(
            field="budget.trials",
            value=0,
            problem="leaves nothing to do",
            remedy="write the most trials, or -1 for as many as the money allows",
        )


def _check_endpoint(endpoint: EndpointSpec) -> None:
    if endpoint.base_url is not None:
        _check_base_url(endpoint.base_url)
    if endpoint.provider == "azure" and not (endpoint.base_url and endpoint.api_version):
        raise SpecError(
            field="endpoint.api_version" if endpoint.base_url else "endpoint.base_url",
            problem="is missing, and Azure needs it",
            remedy='set base_url = "https://NAME.openai.azure.com" and api_version = "2024-10-21" '
            "(or later) under [endpoint]",
        )


def _check_base_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port that is no number
        usable = False
    # Before the value is shown: what stands there may be a key.
    if "@" in base_url or "?" in base_url:
        raise SpecError(
            field="endpoint.base_url",
            problem="seems to carry credentials, which would be kept in Redis",
            remedy="put the key into OPENAI_API_KEY, and leave user, password and query out",
        )
    if not usable:
        raise SpecError(
            field="endpoint.base_url",
            value=base_url,
            problem="not an http(s) URL",
            remedy='write for example "http://gpu-7:8000/v1"',
        )


def _check_metric(metric: MetricSpec) -> None:
    if metric.evaluator == "python_tests":
        if metric.name not in BUILT_IN_METRICS:
            raise SpecError(
                field="metric.name",
                value=metric.name,
                problem="python_tests has no such metric",
                remedy="choose one of " + ", ".join(BUILT_IN_METRICS),
            )
    elif not _is_reference(metric.evaluator):
        raise SpecError(
            field="metric.evaluator",
            value=metric.evaluator,
            problem="neither python_tests nor package.module:function",
            remedy='write evaluator = "python_tests" or "my_package.metrics:eval_func"',
        )


def _check_names(parameters: Mapping[str, object]) -> None:
    for name in parameters:
        try:
            name.encode()
        except UnicodeEncodeError as exc:  # half of a surrogate pair: Redis and the wire take none
            raise SpecError(
                field="space",
                value=ascii(name),
                problem="this parameter's name is no text",
                remedy="write the name as the API has it",
            ) from exc


def _check_sandbox(sandbox: SandboxSpec) -> None:
    named = [("image", sandbox.image), ("runtime", sandbox.runtime)]
    named += [(f"packages.{place}", package) for place, package in enumerate(sandbox.packages)]
    for name, value in named:
        if value is not None and not value.strip():
            raise SpecError(
                field=f"sandbox.{name}",
                value=value,
                problem="is empty",
                remedy="write a name, or leave it out",
            )
    if sandbox.image and sandbox.packages:
        raise SpecError(
            field="sandbox.packages",
            value=sandbox.packages,
            problem=f"can't be put into an image of your own ({sandbox.image!r})",
            remedy="install them in that image, or leave sandbox.image out",
        )


def _is_reference(text: str) -> bool:
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), name])


_REMEDIES = {
    "int_type": "write a whole number, without quotes",
    "float_type": "write a number, without quotes",
    "string_type": "write a text, in quotes",
    "string_too_short": "write a text that is not empty",
    "string_pattern_mismatch": "use letters, digits, '.', '_' and '-', 63 at most, and begin with "
    "a letter or a digit",
    "list_type": "write a list, in square brackets",
    "dict_type": "write a table",
    "model_type": "write a table",
    "literal_error": "choose one of those",
    "finite_number": "write a number that is finite",
}
_SECRET = re.compile("key|secret|password|token$", re.IGNORECASE)


def _translated(exc: ValidationError) -> SpecError:
    error = exc.errors(include_url=False)[0]
    loc = error["loc"]
    field = ".".join(str(part) for part in loc)
    if error["type"] == "missing":
        return SpecError(field=field, problem="is missing", remedy=_how_to_add(loc))
    if error["type"] == "extra_forbidden":
        hidden = _SECRET.search(str(loc[-1]))
        return SpecError(
            field=field,
            value="..." if hidden else error["input"],
            problem="unknown key" + (" (keys are the environment's business)" if hidden else ""),
            remedy=_known_keys(loc),
        )
    return SpecError(
        field=field or "STUDY.toml",
        value=error["input"],
        problem=error["msg"][0].lower() + error["msg"][1:],
        remedy=_REMEDIES.get(error["type"], f"choose another value for {field}"),
    )


def _how_to_add(loc: tuple[int | str, ...]) -> str:
    name = str(loc[-1])
    own = _examples(_section(loc))
    if name in own:
        where = f"under {_header(loc)}" if len(loc) > 1 else "at the top of the file"
        return f"add it {where}, for example {name} = {own[name]}"
    needed = _examples(_section((name, "")))
    lines = " and ".join(f"{key} = {example}" for key, example in needed.items())
    return f"add the table [{name}] with, for example, {lines}"


def _examples(section: type[BaseModel]) -> dict[str, str]:
    """What a table's required keys look like: fields with an example are those without default."""
    fields = section.model_fields.items()
    return {key: json.dumps(field.examples[0]) for key, field in fields if field.examples}


def _known_keys(loc: tuple[int | str, ...]) -> str:
    known = sorted(_section(loc).model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    where = _header(loc) if len(loc) > 1 else "a study file"
    return f"mend its name{meant} or remove it; {where} takes " + ", ".join(known)


def _header(loc: tuple[int | str, ...]) -> str:
    return f"[[{loc[0]}]]" if isinstance(loc[1], int) else f"[{loc[0]}]"


def _section(loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The table in which a key stands: the last one but the key itself."""
    section: Any = StudySpec
    for part in loc[:-1]:
        if part in section.model_fields:
            annotation = section.model_fields[part].annotation
            section = getattr(annotation, "__args__", (annotation,))[0]
    return cast(type[BaseModel], section)

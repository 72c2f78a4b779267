"""StudySpec: what a study file says, validated once, with errors that name field and remedy."""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study import money, space
from study.errors import SpecError
from study.space import SearchSpace

BUILT_IN_METRICS = ("success", "expected_success", "pass_rate")


class Section(BaseModel):
    """A table of the study file: unknown keys are refused, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSpec(Section):
    """`[data]`: where the examples come from; `tune_size` of them tune, the rest are held out."""

    path: str = Field(min_length=1)
    name: str | None = None
    split: str | None = None
    shuffle_seed: int | None = None
    tune_size: int = Field(default=20, ge=1)
    id_column: str | None = None


class MetricSpec(Section):
    """`[metric]`: what is made large (or small), and who measures it."""

    name: str = "expected_success"
    mode: Literal["max", "min"] = "max"
    evaluator: str = "python_tests"


class BudgetSpec(Section):
    """`[budget]`: dollars for the tuning, dollars for one request afterwards, trials."""

    optimization_usd: float = Field(gt=0, le=9e6, allow_inf_nan=False)
    inference_usd: float = Field(gt=0, le=9e6, allow_inf_nan=False)
    trials: int = Field(default=-1, ge=-1)

    @property
    def optimization_nanodollars(self) -> int:
        """The limit of the study's account."""
        return int(self.optimization_usd * money.NANODOLLARS_PER_DOLLAR)

    @property
    def inference_nanodollars(self) -> int:
        """What one request may cost on average."""
        return int(self.inference_usd * money.NANODOLLARS_PER_DOLLAR)


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

    model: str = Field(min_length=1)
    input: float = Field(ge=0, le=1e6, allow_inf_nan=False)
    output: float = Field(ge=0, le=1e6, allow_inf_nan=False)


class SandboxSpec(Section):
    """`[sandbox]`: what one generated program may use."""

    timeout_s: float = Field(default=3.0, gt=0, le=600)
    memory_mb: int = Field(default=256, ge=16, le=65_536)
    packages: list[str] = []
    runtime: str | None = None
    image: str | None = None


class RunSpec(Section):
    """`[run]`: the seed of the search."""

    seed: int = Field(default=0, ge=0, le=2**32 - 1)


class StudySpec(Section):
    """A whole study file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
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
        except ValidationError as exc:
            raise _translated(exc) from exc
        _check_across_fields(spec)
        _ = spec.search_space  # raises where the space is wrong
        return spec

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and validate a study file.

        Raises:
            SpecError: if it can't be read, is not TOML, or is wrong.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise SpecError(
                field="STUDY.toml",
                value=str(path),
                problem=f"can't be read ({exc.strerror or exc})",
                remedy="give the path of a study file; examples/ has some",
            ) from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise SpecError(
                field="STUDY.toml",
                value=str(path),
                problem=f"is not TOML ({exc})",
                remedy="mend the line named",
            ) from exc
        return cls.parse(table)


def _check_across_fields(spec: StudySpec) -> None:
    endpoint, metric = spec.endpoint, spec.metric
    if endpoint.base_url is not None:
        parts = urlsplit(endpoint.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SpecError(
                field="endpoint.base_url",
                value=endpoint.base_url,
                problem="not an http(s) URL",
                remedy='write for example "http://gpu-7:8000/v1"',
            )
        if parts.username or parts.password or parts.query:
            raise SpecError(
                field="endpoint.base_url",
                value=f"{parts.scheme}://...@{parts.hostname}",
                problem="carries credentials, which would be kept in Redis",
                remedy="put the key into OPENAI_API_KEY",
            )
    if endpoint.provider == "azure" and not (endpoint.base_url and endpoint.api_version):
        field = "api_version" if endpoint.base_url else "base_url"
        raise SpecError(
            field=f"endpoint.{field}",
            value=None,
            problem="Azure needs it",
            remedy='set endpoint.base_url = "https://NAME.openai.azure.com" and '
            "endpoint.api_version",
        )
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


def _is_reference(text: str) -> bool:
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), name])


_REMEDIES = {
    "missing": "add it",
    "extra_forbidden": "remove it or mend its name",
}


def _translated(exc: ValidationError) -> SpecError:
    error = exc.errors(include_url=False)[0]
    field = ".".join(str(part) for part in error["loc"])
    remedy = _REMEDIES.get(error["type"], "mend the study file")
    problem = error["msg"][0].lower() + error["msg"][1:]
    value: object = error["input"]
    if error["type"] == "extra_forbidden":
        problem = "unknown key"
        remedy = "remove it, or mend its name: " + ", ".join(_known_keys(error["loc"]))
    if error["type"] == "missing":
        problem, value = "missing", None
    return SpecError(field=field, value=value, problem=problem, remedy=remedy)


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    section: Any = StudySpec
    for part in loc[:-1]:
        if isinstance(part, str) and part in getattr(section, "model_fields", {}):
            annotation = section.model_fields[part].annotation
            section = getattr(annotation, "__args__", [annotation])[0]
    return sorted(getattr(section, "model_fields", {}))

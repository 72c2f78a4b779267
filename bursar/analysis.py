"""Analysis: what a tuning found, in the words of FLAML's ExperimentAnalysis."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.report import trial_row
from study.spec import StudySpec
from study.trials import Trial

Config = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial.

    Args:
        trial_id: its number in the study.
        config: what was tried, ready for `create`.
        last_result: the metric's value under its name, `std_error`, `inference_cost` (dollars for
            one request), `examples`, `draws`; empty where nothing was evaluated.
        status: COMPLETE, PRUNED, FAILED, ...
        reason: why it was pruned or failed.
    """

    trial_id: int
    config: Config
    last_result: dict[str, Any]
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a tuning found.

    Args:
        best_config: what is recommended, ready for `create`; None where nothing could be.
        best_result: as a trial's `last_result`.
        trials: every trial, in the order in which they were proposed.
        report: the object of `bursar tune --json`.
    """

    best_config: Config | None
    best_result: dict[str, Any]
    trials: tuple[TrialResult, ...]
    report: Mapping[str, Any]

    @property
    def best_trial(self) -> TrialResult | None:
        """The trial that the recommended config comes from, whatever n is recommended."""
        if self.best_config is None:
            return None
        wanted = _without_n(self.best_config)
        return next((t for t in self.trials if _without_n(t.config) == wanted), None)


def analysed(
    report: Mapping[str, Any],
    trials: Sequence[Trial],
    *,
    spec: StudySpec,
    public: Callable[[Mapping[str, Any]], Config],
) -> Analysis:
    """Put a report and its trials into the user's words.

    Args:
        report: the object of `tune --json`.
        trials: of the study.
        spec: of the study.
        public: makes a config of the study the user's.
    """
    config = report["config"]
    return Analysis(
        best_config=None if config is None else public(config),
        best_result=result(report["best"]),
        trials=tuple(trial_result(trial, spec=spec, public=public) for trial in trials),
        report=report,
    )


def trial_result(
    trial: Trial, *, spec: StudySpec, public: Callable[[Mapping[str, Any]], Config]
) -> TrialResult:
    """Put a trial into the user's words; arguments as `analysed`'s."""
    row = trial_row(spec, trial)
    return TrialResult(
        trial_id=trial.number,
        config=public(row["config"]),
        last_result=result(row["best"]),
        status=row["state"],
        reason=row["reason"],
    )


def result(best: Mapping[str, Any] | None) -> dict[str, Any]:
    """An estimate with its value under the metric's own name."""
    if best is None:
        return {}
    rest = {name: best[name] for name in ("std_error", "examples", "draws")}
    return {best["metric"]: best["value"], "inference_cost": best["inference_cost_usd"], **rest}


def _without_n(config: Config) -> Config:
    return {name: value for name, value in config.items() if name != "n"}

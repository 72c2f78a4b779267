"""Trial: one arm on its way through the search, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from study.config import Arm, Config


class TrialState(StrEnum):
    """Where a trial stands. COMPLETE, PRUNED and FAILED are final."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"

    @property
    def finished(self) -> bool:
        """Whether no more evaluations will be made for the trial."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is believed of a config: its metric, and what a request with it costs.

    `value` is the metric's mean over examples, `std_error` its standard error; `lower` and `upper`
    bound it at about 95 %; `inference_cost_nanodollars` is the mean bill of one request.
    """

    config: Config
    value: float
    std_error: float
    lower: float
    upper: float
    inference_cost_nanodollars: int
    examples: int
    draws: int


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An arm, its number in the study, and what has come of it.

    `rung` counts the steps planned for it so far; `reason` says in words why the trial was pruned or failed;
    `estimate` is that of its best affordable n, once there is one.
    """

    number: int
    arm: Arm
    state: TrialState = TrialState.WAITING
    rung: int = 0
    reason: str = ""
    estimate: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """The trial as JSON values."""
        estimate = None
        if self.estimate is not None:
            estimate = {**vars(self.estimate), "config": self.estimate.config.to_dict()}
        return {
            "number": self.number,
            "arm": self.arm.to_dict(),
            "state": self.state.value,
            "rung": self.rung,
            "reason": self.reason,
            "estimate": estimate,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Trial":
        """Read what `to_dict` wrote."""
        estimate = data["estimate"]
        if estimate is not None:
            estimate = Estimate(**{**estimate, "config": Config.from_dict(estimate["config"])})
        return cls(
            number=data["number"],
            arm=Arm.from_dict(data["arm"]),
            state=TrialState(data["state"]),
            rung=data["rung"],
            reason=data["reason"],
            estimate=estimate,
        )

"""The messages between coordinator and workers: JSON, with ids, unknown fields refused."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from study.cuts import CUTS_MAX
from study.metrics import RECOGNISED
from study.paid_calls import CallId

EVALUATE_EXAMPLE: Final = "bursar.evaluate_example"
"""The Celery task's name."""
QUEUE: Final = "bursar"
MESSAGE_BYTES_MAX: Final = 16_384
"""With Celery's envelope; ours take about two thousand."""
RESULT_BYTES_MAX: Final = 1_000_000
"""A larger one is refused by whoever reads it."""


class Record(BaseModel):
    """A message: validated where it enters, then trusted."""

    # A nan would be written as null, and make the result unreadable for good.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EvaluateExample(Record):
    """Evaluate one arm on one example: buy draws `first_draw` .. `first_draw + draws - 1`, score them.

    It carries ids only; the study's spec, the trial and the example lie in Redis. `arm` is the
    trial's arm key, `example` an id such as `tune-3`.
    """

    study: str = Field(max_length=100)
    trial: int = Field(ge=0)
    arm: str = Field(max_length=32)
    example: str = Field(max_length=32)
    first_draw: int = Field(ge=0, le=1_000_000)
    draws: int = Field(ge=1, le=1000)

    @property
    def evaluation(self) -> str:
        """The evaluation's id: the same work has the same id, whoever asks for it, how often ever."""
        return str(self.call)

    @property
    def call(self) -> CallId:
        """The call that buys the draws."""
        return CallId(
            arm=self.arm, example=self.example, first_draw=self.first_draw, draws=self.draws
        )


class Evaluation(Record):
    """What all results say: whose they are."""

    trial: int = Field(ge=0)
    arm: str = Field(max_length=32)
    example: str = Field(max_length=32)
    first_draw: int = Field(ge=0)
    draws: int = Field(ge=1, le=1000)

    @property
    def evaluation(self) -> str:
        """The id of the evaluation that this is the result of."""
        return f"{self.arm}/{self.example}/{self.first_draw}+{self.draws}"


class Paid(Record):
    """What an evaluation's calls used and cost; `completion_tokens` sums over the answers."""

    calls: int = Field(ge=0)
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    cost_nanodollars: int = Field(ge=0)
    latency_s: float


class ScoredCut(Record):
    """What the draws would have been under one cut of the arm (see `study.cuts`).

    `arm` is the cut's key, `passes` as in Scored, `output_tokens` the sum over the answers.
    """

    arm: str = Field(max_length=32)
    passes: list[bool] = Field(max_length=1000)
    output_tokens: float = Field(ge=0)


class Scored(Evaluation):
    """The draws were bought and scored.

    `passes[i]` says whether draw `first_draw + i` passes (evaluators that judge each draw);
    `curve[n]` is the metric's mean over subsets of n of the draws known so far (a user's function).
    With both, each draw by itself was good or bad, and `counts_as` names the count metrics (of
    `study.metrics.RECOGNISED`) with which all that was judged agrees.
    With `unscored` neither is there: the coordinator scores.
    `cuts` has those that change a draw; None says that none was looked at.
    """

    kind: Literal["scored"] = "scored"
    passes: list[bool] | None = None
    curve: dict[int, float] | None = None
    counts_as: list[str] = Field(default=[], max_length=len(RECOGNISED))
    unscored: bool = False
    cuts: list[ScoredCut] | None = Field(default=None, max_length=CUTS_MAX)
    paid: Paid
    error: str = ""

    @model_validator(mode="after")
    def _has_a_verdict_for_each_draw(self) -> Self:
        if self.passes is not None and not self.error and len(self.passes) != self.draws:
            raise ValueError(f"{len(self.passes)} verdicts for {self.draws} draws")
        for cut in self.cuts or ():
            if len(cut.passes) != self.draws:
                raise ValueError(f"{len(cut.passes)} verdicts of a cut for {self.draws} draws")
        return self


class ConfigFailed(Evaluation):
    """The provider refuses this configuration: no example of it can be evaluated."""

    kind: Literal["config_failed"] = "config_failed"
    reason: str


class Unaffordable(Evaluation):
    """The ledger refused the reservation: the budget can't bear the call's worst case now."""

    kind: Literal["unaffordable"] = "unaffordable"
    worst_case_nanodollars: int


class Unevaluated(Evaluation):
    """Infrastructure failed, within its bounded retries; the coordinator may send it again.

    `retry_after_s` says that nothing failed but the fleet's rate limit: when its turn may come.
    """

    kind: Literal["unevaluated"] = "unevaluated"
    reason: str
    retry_after_s: float | None = Field(default=None, ge=0)


class Fatal(Evaluation):
    """Nothing can be bought (key, quota, spend limit) or scored (no sandbox, or not the one asked for):
    the study stops, resumable."""

    kind: Literal["fatal"] = "fatal"
    cause: Literal["credentials", "infrastructure", "settings"] = "credentials"
    reason: str


Result = Annotated[
    Scored | ConfigFailed | Unaffordable | Unevaluated | Fatal, Field(discriminator="kind")
]
FINAL: Final = (Scored, ConfigFailed)
"""Results that stand; of the others, the same evaluation may be tried again."""

"""HeldOut: the plan that evaluates one config on given examples, once each, with n draws."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from coordinator.plan import Work
from study.config import Arm, Config
from study.messages import Evaluation, Scored
from study.metrics import CountMetric
from study.prices import Price, Usage
from study.trials import Estimate, Trial, TrialState


class HeldOut:
    """Evaluates `config` on each of `examples`; a `Plan` for `run_study`.

    Args:
        config: what is evaluated.
        examples: ids.
        count_metric: of (passes, n), where the evaluator counts passes; None where it gives a curve.
        price: of the config's model.
        bound: the worst case of an evaluation in nanodollars, from arm, example and draws.
    """

    def __init__(
        self,
        config: Config,
        examples: Sequence[str],
        *,
        count_metric: CountMetric | None,
        price: Price,
        bound: Callable[[Arm, str, int], int],
    ) -> None:
        self._config, self._metric, self._price, self._bound = config, count_metric, price, bound
        # In order, and each found at once.
        self._to_send, self._out = OrderedDict[str, None].fromkeys(examples), set[str]()
        self._sums = _Sums()
        self._trial = Trial(number=0, arm=config.arm, state=TrialState.RUNNING)
        self._changed = True
        self._stuck: str | None = None
        self.results: dict[str, Scored] = {}
        self.unscored: dict[str, str] = {}

    @property
    def trials(self) -> Sequence[Trial]:
        """The one trial."""
        return [self._trial]

    @property
    def finished(self) -> str | None:
        """All examples are evaluated, or no more can be."""
        if self._trial.state is TrialState.FAILED:
            return self._trial.reason
        if self._stuck:
            return self._stuck
        return None if self._to_send or self._out else "every example is evaluated"

    def next(self, *, available: int) -> Work | None:
        """The next example, if the money is there."""
        if not self._to_send or self._trial.state is TrialState.FAILED:
            return None
        example, draws = next(iter(self._to_send)), self._config.n
        if self._bound(self._config.arm, example, draws) > available:
            if not self._out:
                self._stuck = "the budget cannot pay for another example"
            return None
        del self._to_send[example]
        self._out.add(example)
        return Work(trial=0, arm=self._config.arm, example=example, first_draw=0, draws=draws)

    def record(self, result: Scored) -> None:
        """Take a score in; a repeat changes nothing."""
        self._strike(result.example)
        if result.error:
            self.unscored[result.example] = result.error
        elif result.example not in self.results:
            self.results[result.example] = result
            self._sums.add(self.score(result), self._cost_of_one(result), result.draws)
        self._changed = True

    def fail(self, trial: int, reason: str) -> None:
        """The provider refuses the configuration."""
        self._trial = replace(self._trial, state=TrialState.FAILED, reason=reason)
        self._out.clear()
        self._changed = trial == 0

    def unaffordable(self, result: Evaluation) -> None:
        """Ask for it again later."""
        self._strike(result.example)
        self._to_send[result.example] = None

    def lost(self, result: Evaluation) -> None:
        """Go on without it: unscored, never 0."""
        self._strike(result.example)
        self.unscored[result.example] = "could not be evaluated"

    def changed(self) -> list[Trial]:
        """The trial, where something came in."""
        if not self._changed:
            return []
        self._changed = False
        estimate = self.recommend()
        if estimate is not None and self._trial.state is TrialState.RUNNING:
            done = not self._to_send and not self._out
            state = TrialState.COMPLETE if done else TrialState.RUNNING
            self._trial = replace(self._trial, estimate=estimate, state=state)
        return [self._trial]

    def recommend(self) -> Estimate | None:
        """The config's mean score, with its standard error over examples."""
        sums = self._sums
        if not sums.count:
            return None
        return Estimate(
            config=self._config,
            value=sums.mean,
            std_error=sums.std_error,
            lower=sums.mean - 2 * sums.std_error,
            upper=sums.mean + 2 * sums.std_error,
            inference_cost_nanodollars=self.inference_cost(),
            examples=sums.count,
            draws=sums.draws,
        )

    def score(self, result: Scored) -> float:
        """The metric of one example's n draws."""
        if self._metric is not None and result.passes is not None:
            return self._metric(sum(result.passes), len(result.passes))
        curve = result.curve or {}
        return curve[max(curve)]

    def inference_cost(self) -> int:
        """The mean bill of one request: its prompt once, and its n answers."""
        return round(self._sums.cost / self._sums.count) if self._sums.count else 0

    def _cost_of_one(self, result: Scored) -> int:
        return self._price.cost(
            Usage(
                prompt_tokens=result.paid.prompt_tokens // max(1, result.paid.calls),
                completion_tokens=result.paid.completion_tokens,
            )
        )

    def restore(self, trials: Sequence[Trial]) -> None:
        """Nothing to take back: the results say what is done."""

    def close(self) -> None:
        """Nothing runs in the background."""

    def _strike(self, example: str) -> None:
        self._out.discard(example)
        self._to_send.pop(example, None)  # there, if it is a result of an earlier coordinator


class _Sums:
    """Mean, standard error, cost and draws of what was scored so far: as quick for the last as for the first.

    Mean and spread after Welford (Technometrics 4, 1962).
    """

    def __init__(self) -> None:
        self.count = self.cost = self.draws = 0
        self.mean = self._spread = 0.0

    def add(self, score: float, cost: int, draws: int) -> None:
        self.count += 1
        self.cost += cost
        self.draws += draws
        off = score - self.mean
        self.mean += off / self.count
        self._spread += off * (score - self.mean)

    @property
    def std_error(self) -> float:
        return math.sqrt(self._spread / max(1, self.count - 1) / self.count)

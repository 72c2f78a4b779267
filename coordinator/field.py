"""Field: all that run in the race and those that could, and whose step is worth most per dollar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from coordinator import race
from coordinator.beliefs import Model
from coordinator.pool import Pool, Tokens
from coordinator.proposer import Proposer
from coordinator.runner import Runner
from study.config import Arm
from study.prices import Price
from study.trials import Trial

CANDIDATES: Final = 6
"""Arms not begun that are compared at each step."""
SHELVE_EVERY: Final = 6
"""Steps after which the least promising candidate makes room for a new one."""
DULL_MAX: Final = 12
"""Proposals looked at in a row, none of them worth its money, before no more are asked for."""
GAIN_MIN: Final = 5e-4
"""A step expected to improve the metric by less (on its scale) isn't worth its money."""
CONFIRMED: Final = 100
"""An answer rests on all examples, or on so many."""
BUDGET_SHARE: Final = 1 / 500
"""Added to a step's cost, as a share of the budget: what is little of it counts alike."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What could be done next: the next rung of a runner, begun or not.

    `gain` is what it is expected to improve the answer by, `worth` that per nanodollar.
    """

    runner: Runner
    gain: float
    worth: float


class Field:
    """The runners and the candidates.

    Args:
        model: what is believed of arms.
        proposer: of arms.
        n: the values of n, ascending.
        examples: ids of the tuning examples.
        prices: of the models.
        inference_limit: nanodollars per request.
        optimization_limit: nanodollars for the study.
        bound: the most that draws of an arm on an example can cost, in nanodollars.
        trials_max: how many runners there may be.
    """

    def __init__(
        self,
        *,
        model: Model,
        proposer: Proposer,
        n: Sequence[int],
        examples: Sequence[str],
        prices: Mapping[str, Price],
        inference_limit: int,
        optimization_limit: int,
        bound: Callable[[Arm, str, int], int],
        trials_max: int | None,
    ) -> None:
        self._model, self._proposer = model, proposer
        self._n, self._examples, self._prices = n, examples, prices
        self._inference_limit, self._bound = inference_limit, bound
        self._overhead = BUDGET_SHARE * optimization_limit
        self._trials_max = trials_max
        self.runners: list[Runner] = []
        self._candidates: list[Runner] = []
        self._shelf: list[Runner] = []
        self._steps = self._dull = 0
        self.waiting = False
        self.priced_out = False

    @property
    def full(self) -> bool:
        """Whether as many arms were begun as were asked for."""
        return self._trials_max is not None and len(self.runners) >= self._trials_max

    def enter(self, arm: Arm) -> Runner:
        """Begin an arm."""
        runner = self._runner(arm, len(self.runners))
        self.runners.append(runner)
        self._model.add(runner.pool)
        return runner

    def believe(self, number: int) -> None:
        """Take over what the model says of a runner now."""
        runner = self.runners[number]
        runner.believe(self._model.belief(number), self._affordable(runner))

    def step(self, available: int) -> Step | None:
        """The step worth most per dollar, of those that the money at hand can begin.

        Sets `waiting` where proposals are still to come, `priced_out` where money is what lacks.
        """
        self.waiting = self.priced_out = False
        while True:
            self._gather()
            steps = self._steps_now(available)
            worthy = [s for s in steps if s.gain >= GAIN_MIN * self._model.scale]
            ready = [s for s in worthy if s.runner.known] or worthy
            if ready:
                self._dull = 0
                return max(ready, key=lambda step: step.worth)
            if not any(r.pool.examples for r in self.runners) and steps:
                return max(steps, key=lambda step: step.worth)
            if self.waiting or not self._candidates or self._dull >= DULL_MAX:
                return self._confirmation(steps)
            self._dull += len(self._candidates)
            self._shelf += self._candidates
            self._candidates = []

    def _confirmation(self, steps: Sequence[Step]) -> Step | None:
        """The leader's next rung, while the answer rests on few examples; it must come alone."""
        leader = self.leader()
        if leader is None or leader.pool.examples >= min(CONFIRMED, len(self._examples)):
            return None
        return next((s for s in steps if s.runner is leader and leader.known), None)

    def take(self, step: Step) -> Runner:
        """Plan a step's evaluations."""
        runner = step.runner
        if runner.trial.number < 0:
            self._candidates.remove(runner)
            runner = self.enter(runner.arm)
        elif self._candidates:
            self._steps += 1
            if self._steps % SHELVE_EVERY == 0 and not self._proposer.exhausted:
                worst = min(self._candidates, key=lambda c: float(c.belief.means.max()))
                self._candidates.remove(worst)
                self._shelf.append(worst)
        rung = runner.next_rung()
        assert rung is not None  # noqa: S101
        runner.plan(rung, self._examples)
        return runner

    def leader(self) -> Runner | None:
        """The runner whose affordable best is highest."""
        scored = [r for r in self.runners if r.pool.examples and r.trial.reason == ""]
        return max(scored, key=lambda r: r.best[0], default=None)

    def behind(self, runner: Runner, leader: Runner) -> float:
        """How many standard errors a runner is behind the leader."""
        mean, error = runner.best
        best, best_error = leader.best
        return (best - mean) / max(1e-9, float(np.hypot(error, best_error)))

    def _steps_now(self, available: int) -> list[Step]:
        runners = [r for r in self.runners if r.live or r.pool.examples]
        means = [r.best for r in runners]
        ranking = sorted((m for m, _ in means), reverse=True)
        highest = ranking[0] if ranking else None
        second = ranking[1] if len(ranking) > 1 else highest
        live = [(r, m) for r, m in zip(runners, means, strict=True) if r.live and not r.todo]
        if not self.full:
            live += [(c, c.best) for c in self._candidates]
        steps = []
        for runner, (mean, error) in live:
            begun = runner.trial.number >= 0
            rival = second if begun and mean == highest else highest
            step = self._step(runner, mean, error, mean if rival is None else rival, available)
            if step is not None:
                steps.append(step)
        return steps

    def _step(
        self, runner: Runner, mean: float, error: float, rival: float, available: int
    ) -> Step | None:
        """The next rung, valued by the best of all rungs above, since small steps change no mind."""
        ahead = [missing for rung in runner.ladder() if (missing := runner.missing(rung))]
        if not ahead:
            return None
        if self._bound(runner.arm, self._examples[ahead[0][0][0]], 1) > available:
            self.priced_out = True
            return None
        tokens = self._tokens(runner)
        if runner.trial.number < 0 and (
            tokens.cost(self._n[0], runner.pool.price) > 2 * self._inference_limit
        ):
            return Step(runner=runner, gain=0.0, worth=0.0)
        done, asked = runner.pool.draws, runner.pool.asked
        error = race.error_after(error=error, draws=done, draws_after=asked)
        steps = []
        for missing in ahead:
            after = asked + sum(draws for _, draws in missing)
            gain = race.gain(mean=mean, rival=rival, error=error, draws=asked, draws_after=after)
            if mean <= rival:
                gain = min(gain, self._model.ceiling - rival)
            cost = runner.cost(missing, tokens) + self._overhead
            steps.append(Step(runner=runner, gain=gain, worth=gain / cost))
        return max(steps, key=lambda step: step.worth)

    def _gather(self) -> None:
        """Fill up the candidates; forecasts are made anew, since beliefs move."""
        if self.full:
            return
        if len(self._candidates) < CANDIDATES:
            self._proposer.tell(self._told())
        while len(self._candidates) < CANDIDATES:
            arm = self._proposer.propose()
            if arm is None:
                if self._proposer.exhausted and self._shelf and self._dull < DULL_MAX:
                    self._candidates.append(self._shelf.pop())
                    continue
                self.waiting = not self._proposer.exhausted
                break
            self._candidates.append(self._runner(arm, -1))
        for candidate in self._candidates:
            candidate.believe(self._model.forecast(candidate.arm), self._affordable(candidate))

    def _told(self) -> dict[Arm, float]:
        """What the proposer hears of each arm; one that broke the inference budget is bad."""
        scored = [r for r in self.runners if r.pool.examples]
        values = {r.arm: r.best[0] for r in scored}
        if values:
            lowest, highest = min(values.values()), max(values.values())
            bad = lowest - 0.25 * (highest - lowest)
            for runner in self.runners:
                if runner.trial.reason and runner.trial.estimate is None:
                    values[runner.arm] = bad
        return values

    def _runner(self, arm: Arm, number: int) -> Runner:
        pool = Pool(arm, len(self._examples), self._prices[arm.model])
        belief = self._model.forecast(arm)
        runner = Runner(trial=Trial(number=number, arm=arm), pool=pool, belief=belief)
        runner.believe(belief, self._affordable(runner))
        return runner

    def _affordable(self, runner: Runner) -> list[int]:
        """The values of n that a request of the arm is expected to afford; the least at least."""
        if runner.arm.repeats_itself:
            return [self._n[0]]
        tokens, price = self._tokens(runner), runner.pool.price
        call = tokens.cost(0, price)
        answer = tokens.cost(1000, price) - call
        fits = int(1000 * (self._inference_limit - call) / max(1, answer))
        return [n for n in self._n if n <= fits] or [self._n[0]]

    def _tokens(self, runner: Runner) -> Tokens:
        """What requests use: of the arm itself, else of its kin, else a guess from the bound."""
        own = runner.pool.tokens
        if own is not None:
            return own
        seen = [(r.arm.model, t) for r in self.runners if (t := r.pool.tokens) is not None]
        known = [t for model, t in seen if model == runner.arm.model] or [t for _, t in seen]
        prompt = float(np.mean([t.prompt for t in known])) if known else 200.0
        output = float(np.mean([t.output for t in known])) if known else 200.0
        return Tokens(
            prompt=prompt,
            output=min(output, float(runner.arm.max_tokens)),
            prompt_variance=0.0,
            output_variance=0.0,
            covariance=0.0,
        )

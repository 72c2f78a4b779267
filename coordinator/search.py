"""Search: decides what to evaluate next, and says what the answer is. Pure: no network, no clock."""

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Final, Literal

import threadpoolctl  # type: ignore[import-untyped]

from coordinator import kept, reading, recommend
from coordinator.abilities import Abilities
from coordinator.beliefs import Model
from coordinator.field import Field
from coordinator.judged import Judged
from coordinator.kept import Kept
from coordinator.lengths import Lengths
from coordinator.plan import Work
from coordinator.proposer import Proposer, ProposerAhead, SkoptProposer
from coordinator.reading import AtOnce, Beside, Reading
from coordinator.runner import Runner
from study import cuts, money
from study.config import Arm
from study.messages import Evaluation, Scored
from study.metrics import CountMetric
from study.prices import Price
from study.space import SearchSpace
from study.trials import Estimate, Trial, TrialState

REFIT_GROWTH: Final = 0.12
"""The model reads everything again when there is this share more of results than the last time."""
REFIT_GROWTH_MOST: Final = 0.2
"""With so many more it doesn't wait until the reader is rested: beliefs grow too old to choose by."""
REFIT_GROWTH_DRY: Final = 0.03
"""The same where no step is worth its money, as far as results were read."""
REFIT_MIN: Final = 4
HOPELESS_ERRORS: Final = 4.0
"""An arm so many standard errors behind the leader is pruned."""
PROVISIONAL: Final = 4
"""Arms looked at closely for what is recommended so far."""

TRIALS_SPENT: Final = "as many trials as asked for"
BUDGET_SPENT: Final = "the budget cannot pay for another evaluation"
REST_TOO_SMALL: Final = "what is left cannot pay for an evaluation that would change the answer"
SPACE_EXHAUSTED: Final = "the space is exhausted"
SETTLED: Final = "more money would not change the answer"
ALL_REFUSED: Final = "the provider refused every configuration: `bursar trials` has its words"
NOTHING_FITS: Final = "no configuration that was tried fits the inference budget"


class Search:
    """The search of one study; `coordinator.plan.Plan` says what its methods promise.

    Args:
        space: what may be tried.
        count_metric: the metric as a function of (passes, n); None where it is a user's function.
        mode: whether the metric should be large or small.
        examples: ids of the tuning examples, in order.
        prices: of the models.
        inference_limit: what a request may cost on average, in nanodollars.
        optimization_limit: the budget, in nanodollars.
        bound: the most that buying so many draws of an arm on an example can cost, in nanodollars.
        trials_max: how many arms to try; None: as many as the money allows.
        seed: of the proposals.
        proposer: another than skopt's, made ahead in a thread; results are then read at once, too,
            so that the same ones in the same order lead to the same steps.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        count_metric: CountMetric | None,
        mode: Literal["max", "min"],
        examples: Sequence[str],
        prices: Mapping[str, Price],
        inference_limit: int,
        optimization_limit: int,
        bound: Callable[[Arm, str, int], int],
        trials_max: int | None,
        seed: int,
        proposer: Proposer | None = None,
    ) -> None:
        # Its matrices are small: more threads than one only spin, on cores that others need.
        threadpoolctl.threadpool_limits(1, user_api="blas")
        self._n, self._examples = space.n, list(examples)
        self._index = {example: i for i, example in enumerate(self._examples)}
        self._inference_limit, self._bound = inference_limit, bound
        self._sign = 1.0 if mode == "max" else -1.0
        self._model = _model(count_metric, self._sign, space, len(self._examples))
        self._lengths = Lengths(space, len(self._examples))
        self._proposer = proposer or ProposerAhead(SkoptProposer(space, prices=prices, seed=seed))
        self._reader: AtOnce | Beside = AtOnce() if proposer else Beside()
        self._reading: Future[Reading] | None = None
        self._field = Field(
            model=self._model,
            lengths=self._lengths,
            proposer=self._proposer,
            n=space.n,
            examples=self._examples,
            prices=prices,
            inference_limit=inference_limit,
            optimization_limit=optimization_limit,
            bound=bound,
            cuts=(lambda arm: cuts.of(space, arm)) if count_metric else (lambda _: ()),
            trials_max=trials_max,
        )
        self._out: dict[tuple[int, str, int], Work] = {}
        self._stale: dict[int, None] = {}
        self._reread: dict[int, None] = {}
        self._changed: dict[int, None] = {}
        self._kept: dict[int, tuple[int, list[Kept]]] = {}
        self._dry = False
        self._results = self._fitted_results = 0
        self._idle_at: tuple[int, int] | None = None
        self._ranked: list[tuple[float, Estimate]] | None = None
        self._finished: str | None = None

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, in the order in which they were begun."""
        return [runner.trial for runner in self._field.runners]

    @property
    def finished(self) -> str | None:
        """Why there is nothing more to do, once nothing is out."""
        return None if self._out else self._finished

    @property
    def completions_paid(self) -> int:
        """Answers that were bought, over all trials."""
        return sum(runner.pool.answers for runner in self._field.runners)

    def next(self, *, available: int) -> Work | None:
        """The next evaluation whose worst case fits `available` nanodollars, if there is one now."""
        if self._idle_at == (self._results, available) and not self._has_news:
            return None  # nothing has changed since it was asked the last time
        self._idle_at = None
        while self._finished is None:
            runner = self._sendable(available)
            if runner is not None:
                return self._send(runner)
            if any(r.todo for r in self._field.runners):
                if self._out:
                    return None  # what is out will free money
                self._shrink()
                continue
            self._learn()
            step = None if self._dry else self._field.step(available)
            if step is not None:
                self._begin(self._field.take(step))
                continue
            self._dry = not self._field.waiting and not self._field.priced_out
            if self._reading is None and self._may_learn(REFIT_GROWTH_DRY):
                self._read()
            elif self._out or self._field.waiting or self._reading is not None:
                self._idle_at = (self._results, available)
                return None
            elif self._fitted_results < self._results:
                self._read()
            elif (rest := self._field.rest(available)) is not None:
                self._begin(self._field.take(rest))
            else:
                self._finish(available)
        return None

    def record(self, result: Scored) -> None:
        """Take a score in. One with an error says nothing, but what it used counts."""
        self._back(result)
        runner = self._field.runners[result.trial]
        runner.pool.record(self._index[result.example], result)
        self._results += 1
        self._stale[result.trial] = None
        self._changed[result.trial] = None

    def fail(self, trial: int, reason: str) -> None:
        """The provider refuses the trial's configuration: nothing more is sent for it."""
        self._idle_at, self._dry = None, False
        self._end(self._field.runners[trial], TrialState.FAILED, reason)
        for key in [key for key in self._out if key[0] == trial]:
            del self._out[key]

    def unaffordable(self, result: Evaluation | Work) -> None:
        """The ledger refused; it is sent again when the money is there."""
        work = self._back(result)
        runner = self._field.runners[result.trial]
        if work is not None and runner.live:
            runner.todo.appendleft(work)

    def lost(self, result: Evaluation | Work) -> None:
        """The infrastructure gave this evaluation up; go on without it."""
        if self._back(result) is not None:
            runner = self._field.runners[result.trial]
            runner.pool.cells[self._index[result.example]].ended += result.draws

    def changed(self) -> list[Trial]:
        """The trials that changed since the last call."""
        changed = [self._field.runners[number].trial for number in self._changed]
        self._changed.clear()
        return changed

    def recommend(self) -> Estimate | None:
        """The config with the best lower bound, near-ties to the cheaper; as far as results were read."""
        if self._ranked is None:
            self._ranked = self._ranking(self._foremost())
        return recommend.best(self._ranked, scale=self._model.scale)

    def conclude(self) -> None:
        """Read all results as if for the first time: the same ones give the same answer."""
        runners = [r for r in self._field.runners if r.trial.state is not TrialState.FAILED]
        pools = [r.pool for r in runners]
        self._model.fit_anew(pools)
        self._lengths.fit_anew(pools)
        self._fitted_results = self._results
        for runner, tokens in zip(runners, self._lengths.tokens(pools), strict=True):
            runner.tokens = tokens
        self._ranked = self._ranking(runners)

    def pareto_front(self) -> list[Estimate]:
        """Quality against cost, over arms and n; after `conclude`."""
        return recommend.pareto_front(self._ranked or [])

    def restore(self, trials: Sequence[Trial]) -> None:
        """Take back the trials of an earlier coordinator; their results are recorded next."""
        for trial in trials:
            self._proposer.seen(trial.arm)
            runner = self._field.enter(trial.arm)
            if trial.state is TrialState.FAILED:
                runner.trial = trial

    def close(self) -> None:
        """End what runs in the background."""
        self._proposer.close()
        self._reader.shutdown()

    @property
    def _has_news(self) -> bool:
        """Whether arms are awaited, or something was read."""
        return self._field.waiting or (self._reading is not None and self._reading.done())

    def _sendable(self, available: int) -> Runner | None:
        for runner in self._field.runners:
            for work in runner.todo:
                if self._bound(work.arm, work.example, work.draws) <= available:
                    runner.todo.remove(work)
                    runner.todo.appendleft(work)
                    return runner
        return None

    def _send(self, runner: Runner) -> Work:
        work = runner.todo.popleft()
        runner.out += 1
        self._out[_key(work)] = work
        return work

    def _back(self, result: Evaluation | Work) -> Work | None:
        self._idle_at = None
        work = self._out.pop(_key(result), None)
        if work is not None:
            self._field.runners[work.trial].out -= 1
        return work

    def _shrink(self) -> None:
        """Make the evaluations to be sent smaller, or give them up, for want of money."""
        for runner in self._field.runners:
            if runner.todo and runner.todo[0].draws > 1:
                runner.split()
                return
        for runner in self._field.runners:
            runner.give_up(self._index)

    def _begin(self, runner: Runner) -> None:
        trial = runner.trial
        runner.trial = replace(trial, state=TrialState.RUNNING, rung=trial.rung + 1)
        self._changed[runner.trial.number] = None

    def _learn(self) -> None:
        """Read the results again if enough have come since the last time; use what was read."""
        growth = REFIT_GROWTH if self._reader.rested else REFIT_GROWTH_MOST
        if self._reading is None and self._may_learn(growth):
            self._read()
        if self._reading is not None and self._reading.done():
            self._take_in(self._reading.result())
            self._reading, self._dry = None, False

    def _may_learn(self, growth: float) -> bool:
        unread = self._results - self._fitted_results
        return unread >= REFIT_MIN + growth * self._fitted_results

    def _read(self) -> None:
        """Begin to read all results; until that is done, what is believed holds."""
        self._fitted_results = self._results
        self._reread, self._stale = self._stale, {}
        model, lengths = copy.deepcopy((self._model, self._lengths))
        self._reading = self._reader.submit(
            reading.read,
            self._field.glance(),
            model,
            lengths,
            n=self._n,
            inference_limit=self._inference_limit,
        )

    def _take_in(self, found: Reading) -> None:
        self._model, self._lengths = found.model, found.lengths
        self._field.learn(found)
        self._ranked = None
        leader = self._field.leader()
        for number in self._reread:
            self._judge(self._field.runners[number], leader)

    def _judge(self, runner: Runner, leader: Runner | None) -> None:
        """Say where a trial stands: what is believed of its best n, or why it ends."""
        self._changed[runner.trial.number] = None
        best = recommend.best(self._estimates(runner), scale=self._model.scale)
        runner.trial = replace(runner.trial, estimate=best)
        runner.version = self._version(runner, best)
        if not runner.live or not runner.idle:
            return
        least, tokens = self._n[0], runner.tokens_in_use
        if recommend.unaffordable(runner.pool, tokens, least, self._inference_limit):
            cost = money.show(tokens.cost(least, runner.pool.price))
            reason = (
                f"a request for {least} answer{'s' * (least > 1)} costs {cost}, above the "
                f"inference budget of {money.show(self._inference_limit)}"
            )
            self._end(runner, TrialState.PRUNED, reason)
        elif leader is not None and runner.pool.examples:
            behind = self._field.behind(runner, leader)
            if behind > HOPELESS_ERRORS:
                mean = self._sign * self._field.mean(runner)
                reason = (
                    f"{mean:.3g}: {behind:.1f} standard errors behind trial {leader.trial.number}"
                )
                self._end(runner, TrialState.PRUNED, reason)

    def _end(self, runner: Runner, state: TrialState, reason: str) -> None:
        runner.trial = replace(runner.trial, state=state, reason=reason)
        runner.give_up(self._index)
        if state is TrialState.FAILED:
            runner.out = 0
        self._changed[runner.trial.number] = None

    def _finish(self, available: int) -> None:
        """Nothing is out and no step is left: say why, and let no trial seem to run."""
        field = self._field
        self.conclude()
        states = {r.trial.state for r in field.runners if r.trial.reason}
        fits = any(r.affordable and r.trial.state is not TrialState.FAILED for r in field.runners)
        if states and not fits and self.recommend() is None:
            self._finished = ALL_REFUSED if states == {TrialState.FAILED} else NOTHING_FITS
        elif field.priced_out:
            self._finished = REST_TOO_SMALL if field.could_pay(available) else BUDGET_SPENT
        elif field.full:
            self._finished = TRIALS_SPENT
        elif self._proposer.exhausted and not field.untried:
            self._finished = SPACE_EXHAUSTED
        else:
            self._finished = SETTLED
        for runner in field.runners:
            if runner.trial.state is not TrialState.FAILED:
                best = recommend.best(self._estimates(runner), scale=self._model.scale)
                runner.trial = replace(runner.trial, estimate=best)
            if runner.live and runner.pool.examples == len(self._examples):
                self._end(runner, TrialState.COMPLETE, "")
            elif runner.live:
                self._end(runner, TrialState.PRUNED, f"not worth more: {self._finished}")
            self._changed[runner.trial.number] = None

    def _foremost(self) -> list[Runner]:
        """The arms believed to be best, of those that results were read of."""
        known = [
            r
            for r in self._field.runners
            if r.trial.state is not TrialState.FAILED and r.pool.examples and r.tokens is not None
        ]
        return sorted(known, key=self._field.mean, reverse=True)[:PROVISIONAL]

    def _estimates(self, runner: Runner) -> list[tuple[float, Estimate]]:
        """What an arm could be recommended as: in full, or cut."""
        if not recommend.seen_enough(runner.pool):
            return []
        return self._all_estimates(runner)

    def _all_estimates(self, runner: Runner) -> list[tuple[float, Estimate]]:
        assert runner.tokens is not None  # noqa: S101
        return [
            ranked
            for version in (None, *self._cuts(runner))
            for ranked in recommend.estimates(
                runner.pool,
                runner.tokens if version is None else version.of(runner.tokens),
                self._model.belief(runner.pool, version),
                self._n,
                limit=self._inference_limit,
                sign=self._sign,
                arm=None if version is None else version.arm,
            )
        ]

    def _cuts(self, runner: Runner) -> list[Kept]:
        """The cuts of an arm that may be better than it in full; kept until more of it was scored."""
        draws, found = self._kept.get(runner.trial.number, (0, []))
        if draws != runner.pool.draws:
            draws, found = runner.pool.draws, kept.cuts(runner.pool)
            self._kept[runner.trial.number] = draws, found
        return found

    def _version(self, runner: Runner, best: Estimate | None) -> Kept | None:
        """The cut of an arm to go on with: of what it is best as, else what makes it affordable."""
        if best is not None:
            arm = best.config.arm
            return next((c for c in self._cuts(runner) if c.arm == arm), None)
        assert runner.tokens is not None  # noqa: S101
        for version in (None, *(shorter := self._cuts(runner))):
            tokens = runner.tokens if version is None else version.of(runner.tokens)
            if tokens.cost(self._n[0], runner.pool.price) <= self._inference_limit:
                return version
        return min(shorter, key=lambda cut: cut.tokens, default=None)

    def _ranking(self, runners: Sequence[Runner]) -> list[tuple[float, Estimate]]:
        ranking = [ranked for runner in runners for ranked in self._estimates(runner)]
        if ranking:
            return ranking
        # The money was too short to see any arm on enough examples: the one seen on most must do.
        fewest_first = sorted((r for r in runners if r.pool.draws), key=lambda r: r.pool.examples)
        for runner in reversed(fewest_first):
            if ranking := self._all_estimates(runner):
                break
        return ranking


def _key(work: Evaluation | Work) -> tuple[int, str, int]:
    return work.trial, work.example, work.first_draw


def _model(metric: CountMetric | None, sign: float, space: SearchSpace, examples: int) -> Model:
    if metric is None:
        return Judged(sign=sign, examples=examples, space=space)
    count_metric = metric
    return Abilities(
        lambda passes, k: sign * count_metric(passes, k),
        n=space.n,
        examples=examples,
        space=space,
    )

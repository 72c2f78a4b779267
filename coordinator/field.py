"""Field: all that run in the race and those that could, and whose step is worth most per dollar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from coordinator.beliefs import Floats, Model
from coordinator.gain import DRAWS, Indices, Prospects
from coordinator.lengths import Lengths
from coordinator.pool import Pool
from coordinator.proposer import Proposer
from coordinator.reading import Glance, Reading, View
from coordinator.runner import Runner
from study.config import Arm
from study.prices import Price
from study.trials import Trial, TrialState

CANDIDATES: Final = 40
"""Arms not begun that are compared at each step."""
PROPOSALS: Final = 6
"""How many more the proposer may add before the least promising ones make room."""
SAMPLES: Final = 64
"""Arms drawn at random, with which the candidates are compared then."""
GAIN_MIN: Final = 5e-5
"""Steps expected to improve the metric by less (on its scale) aren't worth their money."""
DOUBT: Final = 2.0
"""Before all is called settled, how many times as uncertain as believed the means are held to be."""
PORTION: Final = 6
"""Of a bundle, evaluations planned before the next step is looked for."""
BUDGET_SHARE: Final = 1 / 1000
"""Added to a step's cost, as a share of the budget: what is little of it counts alike."""
DRAWS_MAX: Final = 128
REPEATED_DRAWS_MAX: Final = 2
"""Draws of an arm that repeats itself: a second call may still differ from the first."""
FEW_DRAWS_MAX: Final = 4
"""Draws in one evaluation that pay even where n is 1, since they tell chance from skill."""
ENOUGH_DRAWS: Final = 8
"""Draws on an example past which more tell little of small n: the example's chance is known by then."""
NEGLIGIBLE: Final = 4.0
"""Standard deviations behind the best, past which an arm's steps aren't looked at."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What could be done next for a runner: so many draws on examples, the most telling ones first.

    `gain` is of the answer, for all of it; `worth` is that per nanodollar.
    """

    runner: Runner
    examples: tuple[int, ...]
    draws: int
    gain: float
    worth: float


class Field:
    """The runners and the candidates.

    Args:
        model: what is believed of arms.
        lengths: what their requests use.
        proposer: of arms.
        n: the values of n, ascending.
        examples: ids of the tuning examples.
        prices: of the models.
        inference_limit: nanodollars per request.
        optimization_limit: nanodollars for the study.
        bound: the most that draws of an arm on an example can cost, in nanodollars.
        cuts: the arms whose answers are those of an arm, cut.
        trials_max: how many runners there may be.
    """

    def __init__(
        self,
        *,
        model: Model,
        lengths: Lengths,
        proposer: Proposer,
        n: Sequence[int],
        examples: Sequence[str],
        prices: Mapping[str, Price],
        inference_limit: int,
        optimization_limit: int,
        bound: Callable[[Arm, str, int], int],
        cuts: Callable[[Arm], Sequence[Arm]],
        trials_max: int | None,
    ) -> None:
        self._model, self._lengths, self._proposer = model, lengths, proposer
        self._n, self._examples, self._prices = n, examples, prices
        self._inference_limit, self._bound, self._cuts = inference_limit, bound, cuts
        self._overhead = BUDGET_SHARE * optimization_limit
        self._trials_max = trials_max
        self.runners: list[Runner] = []
        self._candidates: list[Runner] = []
        self._shelf: list[Runner] = []
        self._seen: list[Runner] = []
        self._prospects: Prospects | None = None
        self._most = np.zeros(0)
        self._costs: dict[int, Floats] = {}
        self._too_dear: list[Step] = []
        self.waiting = False

    @property
    def full(self) -> bool:
        """Whether as many arms were begun as were asked for."""
        return self._trials_max is not None and len(self.runners) >= self._trials_max

    @property
    def priced_out(self) -> bool:
        """Whether there was a step worth its money, at the last look, that the money didn't reach for."""
        return bool(self._too_dear)

    @property
    def untried(self) -> bool:
        """Whether there are arms that were proposed and not begun."""
        return bool(self._candidates)

    def enter(self, arm: Arm) -> Runner:
        """Begin an arm that an earlier coordinator began."""
        runner = self._runner(arm, len(self.runners))
        self.runners.append(runner)
        return runner

    def survey(self) -> None:
        """Look at all arms with what is believed, since there are new candidates."""
        glance = self.glance()
        if glance.runners:
            limit = self._inference_limit
            view = View.of(glance, self._model, self._lengths, n=self._n, inference_limit=limit)
            self._believe(view)
            self._look(self._screened(view))

    def glance(self) -> Glance:
        """All arms as they are now, with what the proposer has ready."""
        self._gather()
        runners = [*self._all(), *self._samples()]
        pools = [runner.pool.frozen() for runner in runners]
        ended = [runner.pool.ended for runner in runners]
        return Glance(
            runners=runners,
            pools=pools,
            versions=[runner.version for runner in runners],
            begun=pools[: len(self.runners)],
            ended=np.array(ended, dtype=float).reshape(len(pools), len(self._examples)),
        )

    def learn(self, reading: Reading) -> None:
        """Go on with what came of reading."""
        self._model, self._lengths = reading.model, reading.lengths
        self._believe(reading.view)
        view = self._screened(reading.view)
        if set(self._all()) <= set(view.glance.runners):
            self._look(view)
        else:
            self.survey()

    def _all(self) -> list[Runner]:
        return [*self.runners, *([] if self.full else self._candidates)]

    def _samples(self) -> list[Runner]:
        """Arms drawn at random, with which the candidates are compared.

        skopt's trees learn slowly what the model knows, which adds up effects that it saw apart.
        """
        if self.full or self._prospects is None:
            return []
        known, drawn = self._known(), self._proposer.sample(SAMPLES)
        return [self._runner(arm, -1) for arm in drawn if arm.key not in known]

    def _known(self) -> dict[str, Runner]:
        """By the arm's key: who was begun or may be, proposed or drawn."""
        runners = [*self.runners, *self._candidates, *self._shelf]
        return {runner.arm.key: runner for runner in runners}

    def _screened(self, view: View) -> View:
        """Keep the most promising of the candidates and the samples: the view of those and the trials."""
        begun, known = set(self.runners), self._known()
        means, look = view.outlook.means, np.diag(view.outlook.covariance)
        promise = means + np.sqrt(np.maximum(0.0, look))
        trials, spare = [], []
        for i, runner in enumerate(view.glance.runners):
            if runner in begun:
                trials.append(i)
            elif not self.full and known.get(runner.arm.key, runner) is runner:
                spare.append(i)
                if not self._may_be_afforded(runner):
                    promise[i] = -np.inf
        best = sorted(spare, key=lambda i: -promise[i])[:CANDIDATES]
        kept = [view.glance.runners[i] for i in sorted(best)]
        unseen = [c for c in self._candidates if c not in set(view.glance.runners)]
        shelf = [*self._shelf, *self._candidates]
        self._shelf = [c for c in shelf if c not in {*kept, *unseen}]
        self._candidates = kept + unseen
        return view.of_some(trials + sorted(best))

    @staticmethod
    def _believe(view: View) -> None:
        """Note what each runner uses and affords."""
        for runner, tokens, count in zip(
            view.glance.runners, view.tokens, view.affordable, strict=True
        ):
            runner.tokens, runner.affordable = tokens, count

    def _look(self, view: View) -> None:
        self._seen = list(view.glance.runners)
        self._most = np.array([self._draws_max(runner) for runner in self._seen])
        self._costs = {
            draws: np.array([self._cost(runner, draws) for runner in self._seen]) for draws in DRAWS
        }
        asked = [runner.pool.asked for runner in self._seen]
        self._prospects = Prospects(view.outlook, np.array(asked, float) - view.glance.ended)

    def mean(self, runner: Runner) -> float:
        """What is believed of an arm at the best n that it affords."""
        assert self._prospects is not None  # noqa: S101
        return float(self._prospects.means[self._seen.index(runner)])

    def step(self, available: int) -> Step | None:
        """The step worth most per dollar, of those that the money at hand can begin.

        Sets `waiting` where proposals are still to come, `priced_out` where money is what lacks.
        """
        self._too_dear = []
        if self._prospects is None or (self.waiting and self._gather()):
            self.survey()
        if self._prospects is None:
            return None
        rivals = self._rivals()
        step = self._best(available, rivals) or self._confirmation(available)
        if step is None and not self._too_dear:
            step = self._best(available, rivals, DOUBT)
        return step

    def rest(self, available: int) -> Step | None:
        """Of the steps that were too dear at the last look, the best of which a part can be paid.

        For when nothing is out, so that no money will come back: the last dollars are used.
        """
        for step in sorted(self._too_dear, key=lambda step: -step.worth):
            for example in step.examples:
                draws = self._draws_that_fit(step.runner, example, step.draws, available)
                if draws:
                    return replace(step, examples=(example,), draws=draws)
        return None

    def take(self, step: Step) -> Runner:
        """Plan the first part of a step."""
        runner = step.runner
        if not runner.begun:
            self._candidates.remove(runner)
            runner.trial = replace(runner.trial, number=len(self.runners))
            self.runners.append(runner)
        chosen = np.array(step.examples[:PORTION], dtype=np.intp)
        for index in chosen:
            runner.plan(int(index), self._examples[index], step.draws)
        assert self._prospects is not None  # noqa: S101
        draws = np.full(len(self._examples), float(step.draws))
        self._prospects.take(self._seen.index(runner), chosen, draws)
        return runner

    def could_pay(self, available: int) -> bool:
        """Whether the money would pay for one answer of any arm that may still be asked."""
        arms = [runner.arm for runner in self.runners if runner.live]
        arms += [] if self.full else [candidate.arm for candidate in self._candidates]
        return any(self._bound(arm, e, 1) <= available for arm in arms for e in self._examples)

    def leader(self) -> Runner | None:
        """The runner whose affordable best is believed to be highest."""
        scored = [
            r for r in self.runners if r.pool.examples and r.affordable and r.trial.reason == ""
        ]
        return max(scored, key=self.mean, default=None)

    def behind(self, runner: Runner, leader: Runner) -> float:
        """How many standard deviations a runner is behind the leader."""
        assert self._prospects is not None  # noqa: S101
        one, other = self._seen.index(leader), self._seen.index(runner)
        return self._prospects.behind(one, other)

    def _rivals(self) -> Indices:
        """The arms of which one might be the answer."""
        return np.array(
            [
                i
                for i, runner in enumerate(self._seen)
                if runner.trial.state is not TrialState.FAILED and self._may_be_afforded(runner)
            ],
            dtype=np.intp,
        )

    def _may_be_afforded(self, runner: Runner) -> bool:
        if runner.affordable:
            return True
        tokens = runner.tokens_in_use
        if not runner.pool.answers:
            tokens = replace(tokens, output=tokens.output * self._least_share())
        cost = tokens.cost(self._n[0], runner.pool.price)
        if not runner.pool.answers:
            cost -= int(tokens.cost_std_error(self._n[0], runner.pool.price))
        return cost <= self._inference_limit

    def _least_share(self) -> float:
        """What a cut has left of output tokens, where it left most: an arm not yet seen may do the same."""
        return min((r.version.tokens for r in self.runners if r.version is not None), default=1.0)

    def _best(self, available: int, rivals: Indices, doubt: float = 1.0) -> Step | None:
        """The step worth most per nanodollar, if any gains enough to be worth anything.

        With doubt the means are held to be so many times as uncertain as the model says.
        """
        prospects = self._prospects
        if prospects is None or not len(rivals):
            return None
        means = prospects.means[rivals]
        rivals = rivals[means + NEGLIGIBLE * doubt * prospects.deviations[rivals] >= means.max()]
        arms = np.array(
            [
                i
                for i in rivals
                if self._seen[i].live and not (self.full and not self._seen[i].begun)
            ],
            dtype=np.intp,
        )
        found: list[Step] = []
        for draws in DRAWS:
            some = arms[self._most[arms] >= draws]
            if len(some):
                found += self._of_draws(draws, some, rivals, available, doubt)
        return max(found, key=lambda step: step.worth, default=None)

    def _of_draws(
        self, draws: int, arms: Indices, rivals: Indices, available: int, doubt: float
    ) -> list[Step]:
        """The best step of so many draws on an example, if there is one."""
        assert self._prospects is not None  # noqa: S101
        bundles = self._prospects.bundles(draws)
        gains = self._prospects.gains(arms, bundles, rivals, doubt)
        costs = self._costs[draws][arms]
        worth = gains / (np.outer(costs, bundles.counts) + self._overhead)
        worth[gains < GAIN_MIN * self._model.scale] = 0.0
        for at in np.argsort(-worth, axis=None, kind="stable"):
            j, b = divmod(int(at), len(bundles.counts))
            if worth[j, b] <= 0.0:
                break
            runner = self._seen[arms[j]]
            examples = tuple(bundles.order[arms[j], : bundles.counts[b]].tolist())
            if not self._room(runner, examples, draws):
                continue
            gain, value = float(gains[j, b]), float(worth[j, b])
            step = Step(runner=runner, examples=examples, draws=draws, gain=gain, worth=value)
            if self._reaches(runner, examples, draws, available):
                return [step]
            self._too_dear.append(step)
        return []

    def _draws_max(self, runner: Runner) -> int:
        return 1 if runner.arm.repeats_itself else max(FEW_DRAWS_MAX, self._n_of(runner))

    def _n_of(self, runner: Runner) -> int:
        return self._n[max(0, runner.affordable - 1)]

    def _room(self, runner: Runner, examples: Sequence[int], draws: int) -> bool:
        most = min(DRAWS_MAX, max(ENOUGH_DRAWS, self._n_of(runner)))
        if runner.arm.repeats_itself:
            most = REPEATED_DRAWS_MAX
        return all(runner.pool.cells[e].asked + draws <= most for e in examples)

    def _reaches(self, runner: Runner, examples: Sequence[int], draws: int, available: int) -> bool:
        return self._bound(runner.arm, self._examples[examples[0]], draws) <= available

    def _cost(self, runner: Runner, draws: int) -> float:
        """What one evaluation is expected to cost, in nanodollars."""
        assert runner.tokens is not None  # noqa: S101
        return runner.tokens.cost(draws, runner.pool.price)

    def _confirmation(self, available: int) -> Step | None:
        """The leader on the examples that it was hardly seen on; the answer must rest on all of them.

        Where nothing was begun, since no choice is to be made, the most promising candidate leads.
        """
        leader = self.leader()
        if leader is None and not self.runners:
            leader = self._first()
        if leader is None or not leader.live:
            return None
        draws = min(self._draws_max(leader), FEW_DRAWS_MAX)
        unseen = tuple(e for e, cell in enumerate(leader.pool.cells) if not cell.asked)
        if not unseen:
            return None
        if not self._reaches(leader, unseen, draws, available):
            draws = 1
        step = Step(runner=leader, examples=unseen, draws=draws, gain=0.0, worth=0.0)
        if self._reaches(leader, unseen, draws, available):
            return step
        self._too_dear.append(step)
        return None

    def _draws_that_fit(self, runner: Runner, example: int, draws: int, available: int) -> int:
        """How many of the draws the money at hand can pay for."""
        while draws and not self._reaches(runner, (example,), draws, available):
            draws -= 1
        return draws

    def _first(self) -> Runner | None:
        """The candidate to begin with where gains tell nothing: the best that fits, else the cheapest."""
        seen = [c for c in self._candidates if c in self._seen]
        fitting = [c for c in seen if self._may_be_afforded(c)]
        if fitting:
            return max(fitting, key=self._promise)
        return min(seen, key=lambda c: self._cost(c, self._n[0]), default=None)

    def _gather(self) -> bool:
        """Take what the proposer has ready; whether anything came."""
        if self.full:
            self.waiting = False
            return False
        self._proposer.tell(self._told())
        came, known = False, self._known()
        while len(self._candidates) < CANDIDATES + PROPOSALS and (arm := self._proposer.propose()):
            if arm.key not in known:
                came, known[arm.key] = True, self._runner(arm, -1)
                self._candidates.append(known[arm.key])
        while self._proposer.exhausted and self._shelf and len(self._candidates) < CANDIDATES:
            self._candidates.append(self._shelf.pop())
        self.waiting = not self._candidates and not self._proposer.exhausted
        return came

    def _promise(self, candidate: Runner) -> float:
        if self._prospects is None or candidate not in self._seen:
            return float("inf")
        i = self._seen.index(candidate)
        return float(self._prospects.means[i] + self._prospects.deviations[i])

    def _told(self) -> dict[Arm, float]:
        """What the proposer hears of each arm; one that broke the inference budget is bad."""
        if self._prospects is None:
            return {}
        known = [r for r in self.runners if r.pool.examples and r in self._seen]
        values = {r.arm: self.mean(r) for r in known}
        if values:
            lowest, highest = min(values.values()), max(values.values())
            bad = lowest - 0.25 * (highest - lowest)
            for runner in self.runners:
                if runner.trial.state is TrialState.FAILED or not runner.affordable:
                    values[runner.arm] = bad
        return values

    def _runner(self, arm: Arm, number: int) -> Runner:
        pool = Pool(arm, len(self._examples), self._prices[arm.model], self._cuts(arm))
        return Runner(trial=Trial(number=number, arm=arm), pool=pool)

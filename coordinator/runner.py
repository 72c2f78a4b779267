"""Runner: an arm in the race, with the evaluations that its rung still asks for."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from coordinator import race
from coordinator.beliefs import Belief
from coordinator.plan import Work
from coordinator.pool import Pool, Tokens
from coordinator.race import Rung
from study.config import Arm
from study.trials import Trial


@dataclass
class Runner:
    """One arm in the race.

    Args:
        trial: as it stands now.
        pool: what was bought of it.
        belief: what is believed of it.
        best: the mean at the best n that it affords, and its draws' standard error.
        n_max: the most answers that a request may ask for, as far as is known.
        todo: evaluations that were planned and not yet sent.
        out: how many of its evaluations are out.
    """

    trial: Trial
    pool: Pool
    belief: Belief
    best: tuple[float, float] = (0.0, 0.0)
    n_max: int = 1
    todo: deque[Work] = field(default_factory=deque)
    out: int = 0

    @property
    def arm(self) -> Arm:
        """The arm."""
        return self.pool.arm

    @property
    def live(self) -> bool:
        """Whether evaluations may still be made for it."""
        return not self.trial.state.finished

    @property
    def known(self) -> bool:
        """Whether at least half of what was asked for has come: enough to judge the next step by."""
        return not self.todo and 2 * self.pool.draws >= self.pool.asked

    @property
    def idle(self) -> bool:
        """Whether nothing of it is planned or out."""
        return not self.todo and not self.out

    def believe(self, belief: Belief, affordable: Sequence[int]) -> None:
        """Take over a belief; `affordable` are the first values of n, as many as it can pay."""
        means = belief.means[: len(affordable)]
        at = int(means.argmax())
        self.belief, self.n_max = belief, affordable[-1]
        self.best = float(means[at]), float(belief.draw_errors[at])

    def ladder(self) -> list[Rung]:
        """Its rungs."""
        return race.rungs(
            examples=len(self.pool.cells), n=self.n_max, repeats_itself=self.arm.repeats_itself
        )

    def climbed(self) -> int:
        """How many rungs were planned in full."""
        return sum(not self.missing(rung) for rung in self.ladder())

    def cost(self, missing: Sequence[tuple[int, int]], tokens: Tokens) -> float:
        """What the missing draws are expected to cost, in nanodollars."""
        answers = sum(draws for _, draws in missing)
        calls = answers if self.arm.repeats_itself else len(missing)
        call = tokens.cost(0, self.pool.price)
        return calls * call + answers * (tokens.cost(1, self.pool.price) - call)

    def next_rung(self) -> Rung | None:
        """The first rung that was not planned in full; None at the top."""
        return next((rung for rung in self.ladder() if self.missing(rung)), None)

    def missing(self, rung: Rung) -> list[tuple[int, int]]:
        """(example's index, draws) that a rung asks for beyond those planned already."""
        return [
            (index, rung.draws - cell.asked)
            for index, cell in enumerate(self.pool.cells[: rung.examples])
            if cell.asked < rung.draws
        ]

    def plan(self, rung: Rung, examples: Sequence[str]) -> None:
        """Put what a rung asks for on the list of what is to be sent."""
        for index, missing in self.missing(rung):
            cell = self.pool.cells[index]
            for draws in [1] * missing if self.arm.repeats_itself else [missing]:
                self.todo.append(
                    Work(
                        trial=self.trial.number,
                        arm=self.arm,
                        example=examples[index],
                        first_draw=cell.asked,
                        draws=draws,
                    )
                )
                cell.asked += draws

    def split(self) -> None:
        """Halve the next evaluation, since the money at hand doesn't reach for it."""
        work = self.todo.popleft()
        few = work.draws // 2
        for first, draws in ((work.first_draw + few, work.draws - few), (work.first_draw, few)):
            self.todo.appendleft(
                Work(
                    trial=work.trial,
                    arm=work.arm,
                    example=work.example,
                    first_draw=first,
                    draws=draws,
                )
            )

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
        n_max: the most answers that a request may ask for, as far as is known.
        todo: evaluations that were planned and not yet sent.
        out: how many of its evaluations are out.
    """

    trial: Trial
    pool: Pool
    belief: Belief
    n_max: int
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
    def idle(self) -> bool:
        """Whether nothing of it is planned or out."""
        return not self.todo and not self.out

    def ladder(self) -> list[Rung]:
        """Its rungs."""
        return race.rungs(
            examples=len(self.pool.cells), n=self.n_max, repeats_itself=self.arm.repeats_itself
        )

    def climbed(self) -> int:
        """How many rungs were planned in full."""
        return sum(not self.missing(rung) for rung in self.ladder())

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


def step_cost(missing: Sequence[tuple[int, int]], tokens: Tokens, runner_pool: Pool) -> float:
    """What a step is expected to cost, in nanodollars."""
    calls = sum(draws if runner_pool.arm.repeats_itself else 1 for _, draws in missing)
    answers = sum(draws for _, draws in missing)
    return calls * tokens.cost(0, runner_pool.price) + answers * (
        tokens.cost(1, runner_pool.price) - tokens.cost(0, runner_pool.price)
    )

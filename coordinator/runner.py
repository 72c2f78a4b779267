"""Runner: an arm in the race, with the evaluations that were planned for it and not yet sent."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from coordinator.kept import Kept
from coordinator.lengths import Tokens
from coordinator.plan import Work
from coordinator.pool import Pool
from study.config import Arm
from study.trials import Trial


@dataclass(eq=False)
class Runner:
    """One arm in the race.

    Args:
        trial: as it stands now; its number is negative before it began.
        pool: what was bought of it.
        tokens: what its requests are expected to use.
        version: the cut under which it is best, as far as is known; None: in full.
        affordable: how many of the values of n its requests may surely ask for, in that version.
        todo: evaluations that were planned and not yet sent.
        out: how many of its evaluations are out.
    """

    trial: Trial
    pool: Pool
    tokens: Tokens | None = None
    version: Kept | None = None
    affordable: int = 1
    todo: deque[Work] = field(default_factory=deque)
    out: int = 0

    @property
    def arm(self) -> Arm:
        """The arm."""
        return self.pool.arm

    @property
    def tokens_in_use(self) -> Tokens:
        """What its requests would use once tuned: those of its version."""
        assert self.tokens is not None  # noqa: S101
        return self.tokens if self.version is None else self.version.of(self.tokens)

    @property
    def begun(self) -> bool:
        """Whether it is a trial."""
        return self.trial.number >= 0

    @property
    def live(self) -> bool:
        """Whether evaluations may still be made for it."""
        return not self.trial.state.finished

    @property
    def idle(self) -> bool:
        """Whether nothing of it is planned or out."""
        return not self.todo and not self.out

    def plan(self, index: int, example: str, draws: int) -> None:
        """Put an evaluation on the list of what is to be sent."""
        cell = self.pool.cells[index]
        self.todo.append(
            Work(
                trial=self.trial.number,
                arm=self.arm,
                example=example,
                first_draw=cell.asked,
                draws=draws,
            )
        )
        cell.asked += draws

    def split(self) -> None:
        """Halve the next evaluation, since the money at hand doesn't reach for it."""
        work = self.todo.popleft()
        few = work.draws // 2
        self.todo.appendleft(
            replace(work, first_draw=work.first_draw + few, draws=work.draws - few)
        )
        self.todo.appendleft(replace(work, draws=few))

    def give_up(self, index_of: dict[str, int]) -> Sequence[Work]:
        """Forget what is to be sent."""
        forgotten = list(self.todo)
        for work in forgotten:
            self.pool.cells[index_of[work.example]].ended += work.draws
        self.todo.clear()
        return forgotten

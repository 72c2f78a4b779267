"""Reading: what is believed once all results were read; here, since a thread does it beside the loop."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, ParamSpec, TypeVar

from coordinator import recommend
from coordinator.beliefs import Floats, Model, Outlook
from coordinator.kept import Kept
from coordinator.lengths import Lengths, Tokens
from coordinator.pool import Pool
from coordinator.runner import Runner

P = ParamSpec("P")
T = TypeVar("T")

REST: Final = 15.0
"""So many times a reading's CPU time goes by before the next: a tenth of a core is for all of the search."""


@dataclass(frozen=True, kw_only=True)
class Glance:
    """Runners as they are at one moment.

    Args:
        runners: all that are looked at.
        pools: theirs; no later result changes them.
        versions: the cuts under which they are best, as far as is known.
        begun: those of the trials.
        ended: [arm, example]: draws that had come by then, or never will.
    """

    runners: Sequence[Runner]
    pools: Sequence[Pool]
    versions: Sequence[Kept | None]
    begun: Sequence[Pool]
    ended: Floats


@dataclass(frozen=True, kw_only=True)
class View:
    """What is believed of the runners of a glance.

    Args:
        glance: on them.
        tokens: what requests of each use.
        affordable: how many of the values of n each affords.
        outlook: on their metric, each at the best n that it affords.
    """

    glance: Glance
    tokens: Sequence[Tokens]
    affordable: Sequence[int]
    outlook: Outlook

    @classmethod
    def of(
        cls,
        glance: Glance,
        model: Model,
        lengths: Lengths,
        *,
        n: Sequence[int],
        inference_limit: int,
    ) -> "View":
        """Look at runners with what is believed already."""
        tokens = lengths.tokens(glance.pools)
        in_use = [
            used if version is None else version.of(used)
            for used, version in zip(tokens, glance.versions, strict=True)
        ]
        affordable = [
            recommend.affordable(pool, used, n, inference_limit)
            for pool, used in zip(glance.pools, in_use, strict=True)
        ]
        outlook = model.outlook(
            glance.pools, [max(1, count) for count in affordable], glance.versions
        )
        return cls(glance=glance, tokens=tokens, affordable=affordable, outlook=outlook)

    def of_some(self, chosen: Sequence[int]) -> "View":
        """Of some of the runners only."""
        glance = self.glance
        return View(
            glance=replace(
                glance,
                runners=[glance.runners[i] for i in chosen],
                pools=[glance.pools[i] for i in chosen],
                versions=[glance.versions[i] for i in chosen],
                ended=glance.ended[chosen],
            ),
            tokens=[self.tokens[i] for i in chosen],
            affordable=[self.affordable[i] for i in chosen],
            outlook=self.outlook.of_some(chosen),
        )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What came of reading: the beliefs, and how things look with them."""

    model: Model
    lengths: Lengths
    view: View


def read(
    glance: Glance, model: Model, lengths: Lengths, *, n: Sequence[int], inference_limit: int
) -> Reading:
    """Read all results of a glance; `model` and `lengths` are the caller's no more."""
    model.fit(glance.begun)
    lengths.fit(glance.begun)
    view = View.of(glance, model, lengths, n=n, inference_limit=inference_limit)
    return Reading(model=model, lengths=lengths, view=view)


class Beside(ThreadPoolExecutor):
    """Does what it is given in a thread, and rests afterwards in proportion to the CPU time it took.

    Args:
        clock: seconds.
        cpu: seconds of CPU time that the calling thread has had.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        super().__init__(1, "reader")
        self._clock, self._cpu = clock, cpu
        self._until_s = clock()

    @property
    def rested(self) -> bool:
        """Whether what was done last is long enough ago."""
        return self._clock() >= self._until_s

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it, in the thread."""

        def measured() -> T:
            began_s = self._cpu()
            try:
                return fn(*args, **kwargs)
            finally:
                self._until_s = self._clock() + REST * (self._cpu() - began_s)

        return super().submit(measured)


class AtOnce(Executor):
    """Does what it is given before it answers, instead of in a thread; it needs no rest."""

    rested = True

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it."""
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future

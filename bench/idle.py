"""Do slots wait for the search? A search on a world of known truth, in real time, with slow calls.

    python -m bench.idle [--slots 64] [--call-seconds 1] [--seconds 60] [--world crowd-100] [--examples 164]

A slot is busy for a call's time; then it takes the next evaluation from the queue, in which a surplus
of a quarter waits as in a study, and the result is told. Answers are made up in a process of their own.
Money never lacks. A slot without an evaluation waits for the search, whether that is at work or has found
nothing worth its money until more results come:

- start: until each slot has had its first evaluation;
- middle: from then on until the last evaluation is sent; how much of it because nothing was worth its money;
- end: after that, nothing more is ever bought: shown in slot-seconds, and in no share.

`idle for want of work` is start and middle, as a share of all slot-seconds until the last was sent.
`search` is the CPU time of this process, as a share of one core: of everything that the search does
(proposals and readings in their threads included), and of the loop.
"""

import argparse
import heapq
import math
import multiprocessing
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bench.search import functions, simulate, worlds
from coordinator.dispatch import SURPLUS
from coordinator.plan import Work
from coordinator.search import Search
from rehearsal import ModelTraits, Surface
from study.messages import Scored

POLL_S: Final = 0.01
"""How long the coordinator waits before it asks again, when the search has nothing."""
TICK_S: Final = 1.0
"""How often the coordinator asks for the best so far."""
MODELS: Final = 12
N_MAX: Final = 4


@dataclass
class Slots:
    """Slots that take what is in the queue as soon as they are free, whatever the coordinator does.

    Args:
        count: how many there are.
        call_s: how long each is busy with an evaluation.
    """

    count: int
    call_s: float
    start_s: float = 0.0
    middle_s: float = 0.0
    settled_s: float = 0.0
    calls: int = 0
    sent_s: float = 0.0
    free: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.free = [0.0] * self.count

    def take(self, queued_s: float, settled: tuple[float, float]) -> float:
        """Begin an evaluation that was queued then; when it ends.

        Args:
            queued_s: when.
            settled: the last time, from when to when, that nothing was worth its money.
        """
        free_s = heapq.heappop(self.free)
        idle_s = max(0.0, queued_s - free_s)
        if self.calls < self.count:
            self.start_s += idle_s
        else:
            self.middle_s += idle_s
            self.settled_s += max(0.0, min(queued_s, settled[1]) - max(free_s, settled[0]))
        self.calls, self.sent_s = self.calls + 1, queued_s
        end_s = max(free_s, queued_s) + self.call_s
        heapq.heappush(self.free, end_s)
        return end_s

    def after_s(self, end_s: float) -> float:
        """Slot-seconds between the last evaluation that a slot had, or was sent, and the end."""
        return sum(max(0.0, end_s - max(free_s, self.sent_s)) for free_s in self.free)


class Endpoint:
    """A world that answers in a process of its own, as workers do.

    Args:
        name: of the world.
        examples: how many of its problems are tuned on.
    """

    def __init__(self, name: str, examples: int) -> None:
        spawned = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(1, spawned, _enter, (name, examples))
        self._process.submit(int).result()

    def ask(self, work: Work) -> "Future[Scored]":
        """Have an evaluation answered."""
        return self._process.submit(_answer, work)

    def close(self) -> None:
        """End it."""
        self._process.shutdown(cancel_futures=True)


def _enter(name: str, examples: int) -> None:
    global _world, _sampler
    _world = world_of(name, examples)
    for model in _world.models:
        for template in range(len(_world.templates)):
            for stop in _world.stops or ((),):
                _world.table(model, template, stop)  # made once, before the clock runs
    _sampler = worlds.Sampler(_world, 0)


def _answer(work: Work) -> Scored:
    return simulate.answer(_world, _sampler, work)


def world_of(name: str, examples: int) -> worlds.World:
    """A world, so many of whose problems are tuned on."""
    family, _, seed = name.rpartition("-")
    world = crowd(int(seed), examples) if family == "crowd" else worlds.world(family, int(seed))
    world.__dict__["tuned"] = tuple(range(min(examples, len(world.problems))))
    return world


def crowd(seed: int, examples: int) -> worlds.World:
    """Many models and prompts that are nearly as good as each other: a choice that takes long to make."""
    random = np.random.default_rng([seed, 43])
    names = [f"c{number:02d}" for number in range(MODELS)]
    models = {
        name: ModelTraits(
            ability=-0.3 + 0.25 * random.normal(),
            heat=random.uniform(0.8, 1.2),
            format_failure=random.uniform(0.05, 0.2),
        )
        for name in names
    }
    world = worlds.World(
        family="crowd",
        seed=seed,
        surface=Surface(
            seed=seed, models=models, template_sd=0.3, interaction_sd=0.6, format_spread=0.6
        ),
        problems=tuple(functions.problems(seed, examples, lines=6, spread=0.5)),
        prices={name: (0.4 * 1.1**rank, 1.6 * 1.1**rank) for rank, name in enumerate(names)},
        templates=worlds.PROMPTS,
        inference_usd=0.005,
    )
    world.space_table["n"]["high"] = N_MAX
    return world


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a study did to its slots.

    Args:
        slots: what they had to do.
        trials: how many arms were begun.
        finished: why there was nothing more to do, if that was so.
        seconds: how long it went.
        cpu_s: CPU time of the search, and of the loop.
    """

    slots: Slots
    trials: int
    finished: str | None
    seconds: float
    cpu_s: float

    @property
    def all_s(self) -> float:
        """Slot-seconds until the last evaluation was sent."""
        return self.slots.count * self.slots.sent_s

    @property
    def idle(self) -> float:
        """The share of them that was idle for want of work."""
        return (self.slots.start_s + self.slots.middle_s) / self.all_s

    @property
    def search(self) -> float:
        """The share of a core that the search takes."""
        return self.cpu_s / self.seconds


def run(
    *,
    slots: int = 64,
    call_s: float = 1.0,
    seconds: float = 60.0,
    world_name: str = "crowd-100",
    examples: int = 164,
    budget_usd: float = 20.0,
) -> Measured:
    """Run a study for so many seconds."""
    world = world_of(world_name, examples)
    endpoint = Endpoint(world_name, examples)
    search = simulate.search_of(world, budget=budget_usd, seed=0, ahead=True)
    busy = Slots(slots, call_s)
    try:
        taken_s, cpu_s = measure(search, endpoint, busy, round(budget_usd * worlds.DOLLAR), seconds)
    finally:
        search.close()
        endpoint.close()
    return Measured(
        slots=busy,
        trials=len(search.trials),
        finished=search.finished,
        seconds=taken_s,
        cpu_s=cpu_s,
    )


def main() -> None:
    """Run, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--call-seconds", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--world", default="crowd-100", help="or another family's: hot-100")
    parser.add_argument("--examples", type=int, default=164, help="of which all are tuned on")
    parser.add_argument("--budget", type=float, default=20.0, help="dollars: never what lacks")
    arguments = parser.parse_args()
    found = run(
        slots=arguments.slots,
        call_s=arguments.call_seconds,
        seconds=arguments.seconds,
        world_name=arguments.world,
        examples=arguments.examples,
        budget_usd=arguments.budget,
    )
    slots, whole_s = found.slots, found.all_s
    print(
        f"{slots.count} slots, {slots.call_s:g} s calls, {arguments.examples} examples, "
        f"{found.seconds:.1f} s: {slots.calls} calls, {found.trials} trials "
        f"({found.finished or 'not finished'})\n"
        f"idle for want of work {found.idle:.2%}: "
        f"start {slots.start_s / whole_s:.2%}, middle {slots.middle_s / whole_s:.2%} "
        f"(nothing worth its money {slots.settled_s / whole_s:.2%}); "
        f"end {slots.after_s(found.seconds):.0f} slot-seconds in "
        f"{found.seconds - slots.sent_s:.1f} s\n"
        f"search {found.search:.1%} of a core"
    )


def measure(
    search: Search, endpoint: Endpoint, slots: Slots, money: int, seconds: float
) -> tuple[float, float]:
    """Drive the search for so many seconds; how long it took, and the CPU seconds of it."""
    out: list[tuple[float, int, Future[Scored]]] = []
    most = math.ceil((1 + SURPLUS) * slots.count)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    now = ticked_s = 0.0
    settled, settled_from = (0.0, 0.0), math.inf
    while now < seconds and search.finished is None:
        while len(out) < most:
            asked_s = time.monotonic() - began_s
            work = search.next(available=money)
            if work is None:
                settled_from = min(settled_from, asked_s)
                break
            if settled_from < asked_s:
                settled, settled_from = (settled_from, asked_s), math.inf
            queued_s = time.monotonic() - began_s
            heapq.heappush(out, (slots.take(queued_s, settled), slots.calls, endpoint.ask(work)))
        now = time.monotonic() - began_s
        if now - ticked_s > TICK_S:
            ticked_s = now
            search.recommend()
            search.changed()
        wait_s = out[0][0] - now if out else POLL_S
        time.sleep(max(0.0, wait_s if len(out) == most else min(POLL_S, wait_s)))
        now = time.monotonic() - began_s
        while out and out[0][0] <= now and out[0][2].done():
            _, _, answer = heapq.heappop(out)
            search.record(answer.result())
    return now, time.process_time() - began_cpu_s


if __name__ == "__main__":
    main()

"""Do slots wait for the search? A search on a world of known truth, in real time, with slow calls.

    python bench/idle.py [--slots 64] [--call-seconds 1] [--seconds 60] [--world hot-100]

A slot is busy for a call's time; then it takes the next evaluation from the queue, in which a surplus
of a quarter waits as in a study, and the result is told. `idle for want of work` are slot-seconds in
which a slot had nothing to do, as a share of all; `search` is the CPU time of everything that the search
did (proposals in their thread included), as a share of one core. Money never lacks, and the clock stands
still while the world makes up its answers.
"""

import argparse
import heapq
import itertools
import math
import time
from typing import Final

from bench.search import simulate, worlds
from coordinator.dispatch import SURPLUS
from coordinator.plan import Work

POLL_S: Final = 0.002
"""How long the coordinator waits before it asks again, when there is nothing to do."""


class Stopwatch:
    """Real time and this process' CPU time, without what the world's answers take."""

    def __init__(self) -> None:
        self._lost_s = self._lost_cpu_s = 0.0
        self._began_s, self._began_cpu_s = time.monotonic(), time.process_time()

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began_s - self._lost_s

    @property
    def cpu_s(self) -> float:
        """CPU seconds since the start."""
        return time.process_time() - self._began_cpu_s - self._lost_cpu_s

    def __enter__(self) -> None:
        self._paused = time.monotonic(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._lost_s += time.monotonic() - self._paused[0]
        self._lost_cpu_s += time.thread_time() - self._paused[1]


class Slots:
    """Slots that take what is in the queue as soon as they are free, whatever the coordinator does.

    Args:
        count: how many there are.
        call_s: how long each is busy with an evaluation.
    """

    def __init__(self, count: int, call_s: float) -> None:
        self._call_s = call_s
        self._free = [0.0] * count  # when each was or will be free
        self.idle_s = 0.0

    def take(self, queued_s: float) -> float:
        """Begin an evaluation that was put into the queue then; when it ends."""
        free_s = heapq.heappop(self._free)
        self.idle_s += max(0.0, queued_s - free_s)
        end_s = max(free_s, queued_s) + self._call_s
        heapq.heappush(self._free, end_s)
        return end_s


def main() -> None:
    """Run, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--call-seconds", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--world", default="hot-100")
    parser.add_argument("--budget", type=float, default=1000.0, help="dollars: never what lacks")
    arguments = parser.parse_args()
    family, _, seed = arguments.world.rpartition("-")
    world = worlds.world(family, int(seed))
    search = simulate.search_of(world, budget=arguments.budget, seed=0, ahead=True)
    sampler = worlds.Sampler(world, 0)
    clock, number = Stopwatch(), itertools.count()
    slots = Slots(arguments.slots, arguments.call_seconds)
    out: list[tuple[float, int, Work]] = []
    most = math.ceil((1 + SURPLUS) * arguments.slots)
    calls = 0
    while clock.now_s < arguments.seconds and search.finished is None:
        while len(out) < most:
            work = search.next(available=round(arguments.budget * worlds.DOLLAR))
            if work is None:
                break
            heapq.heappush(out, (slots.take(clock.now_s), next(number), work))
        time.sleep(POLL_S)
        while out and out[0][0] <= clock.now_s:
            _, _, work = heapq.heappop(out)
            with clock:
                result = simulate.answer(world, sampler, work)
            search.record(result)
            calls += 1
    seconds = clock.now_s
    print(
        f"{arguments.slots} slots, {arguments.call_seconds:g} s calls, {seconds:.1f} s: {calls} calls, "
        f"{len(search.trials)} trials ({search.finished or 'not finished'}); "
        f"idle for want of work {slots.idle_s / (arguments.slots * seconds):.2%}, "
        f"search {clock.cpu_s / seconds:.1%} of a core"
    )
    search.close()


if __name__ == "__main__":
    main()

"""bursar's search over HTTP, on jobs from standard input: reserves, calls, settles, many calls at once."""

import json
import queue
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

from bench.search import menus, worlds
from bench.search.simulate import problem_of, search_of
from bench.search.worlds import DOLLAR, World
from coordinator.plan import Work
from study import cuts
from study.config import Arm
from study.messages import Paid, Scored, ScoredCut
from study.prices import Usage

SLOTS = 8
"""Calls in flight: the endpoint answers at once, more would only wait."""


class Caller(threading.Thread):
    """Makes calls, one after the other."""

    def __init__(self, world: World, base_url: str, right: dict, todo, done) -> None:
        super().__init__(daemon=True)
        self._world, self._url, self._right = world, urlsplit(base_url), right
        self._todo, self._done = todo, done

    def run(self) -> None:
        """Call until there is nothing more."""
        connection = HTTPConnection(self._url.hostname, self._url.port, timeout=60)
        while (work := self._todo.get()) is not None:
            try:
                self._done.put((work, self._call(connection, work)))
            except Exception as exc:  # noqa: BLE001 - raised where it is waited for
                self._done.put((work, exc))
                break
        connection.close()

    def _call(self, connection: HTTPConnection, work: Work) -> Scored:
        problem = problem_of(self._world, work.example)
        text = self._world.render(work.arm.template, problem)
        chat = self._world.api == "chat"
        asked = {"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text}
        body = {"model": work.arm.model, "n": work.draws, **asked, **work.arm.params}
        path = f"{self._url.path}/{'chat/' if chat else ''}completions"
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        reply = json.loads(connection.getresponse().read())
        said = [c["message"]["content"] if chat else c["text"] for c in reply["choices"]]
        usage = Usage(
            prompt_tokens=reply["usage"]["prompt_tokens"],
            completion_tokens=reply["usage"]["completion_tokens"],
        )
        return Scored(
            trial=work.trial,
            arm=work.arm.key,
            example=work.example,
            first_draw=work.first_draw,
            draws=work.draws,
            passes=[menus.judge(answer, self._right[problem]) for answer in said],
            cuts=self._cuts(work.arm, problem, said, usage.completion_tokens),
            paid=Paid(
                calls=1,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                cost_nanodollars=self._world.study_prices[work.arm.model].cost(usage),
                latency_s=0.0,
            ),
        )

    def _cuts(self, arm: Arm, problem: int, said: list[str], tokens: int) -> list[ScoredCut]:
        """What a worker would say of the answers, cut."""
        found, cutter = [], cuts.Cutter(said, tokens, model=arm.model)
        for cut in cuts.of(self._world.space, arm):
            less = [cutter.cut(answer, cut) for answer in cutter.answers]
            if any(after is not before for after, before in zip(less, cutter.answers, strict=True)):
                passes = [menus.judge(answer.text, self._right[problem]) for answer in less]
                left = sum(answer.tokens for answer in less)
                found.append(ScoredCut(arm=cut.key, passes=passes, output_tokens=left))
        return found


def run(job: dict, world: World) -> dict:
    """One search; of the world it is told what a study knows."""
    search = search_of(world, budget=job["budget"], seed=job["seed"])
    right = {problem: world.right_answers(problem) for problem in world.tuned}
    todo: queue.Queue = queue.Queue()
    done: queue.Queue = queue.Queue()
    for _ in range(SLOTS):
        Caller(world, job["base_url"], right, todo, done).start()
    available, reserved = round(job["budget"] * DOLLAR), {}
    while search.finished is None:
        while len(reserved) < SLOTS and (work := search.next(available=available)) is not None:
            worst = world.bound(work.arm, problem_of(world, work.example), work.draws)
            available -= worst
            reserved[work.trial, work.example, work.first_draw] = worst
            todo.put(work)
        if not reserved:
            continue
        work, result = done.get()
        if isinstance(result, Exception):
            raise result
        available += reserved.pop((work.trial, work.example, work.first_draw))
        available -= result.paid.cost_nanodollars
        search.record(result)
    for _ in range(SLOTS):
        todo.put(None)
    found, trials = search.recommend(), len(search.trials)
    search.close()
    if found is None:
        return {"config": None, "trials": trials, "reason": search.finished}
    return {
        "config": {**found.config.arm.to_dict(), "n": found.config.n},
        "reported": found.value,
        "std_error": found.std_error,
        "trials": trials,
        "reason": search.finished,
    }


def main() -> None:
    """Answer each job with a line."""
    world = None
    for line in sys.stdin:
        job = json.loads(line)
        if world is None or (world.family, world.seed) != (job["family"], job["seed"]):
            world = worlds.world(job["family"], job["seed"])
        began = time.monotonic()
        result = run(job, world)
        print(json.dumps({**result, "wall_s": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()

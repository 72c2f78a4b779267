"""run_study: ask -> dispatch -> collect -> tell, read aloud; what each step does is in `drive`."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from coordinator.bounds import Bounds
from coordinator.drive import Drive, Progress, Tally
from coordinator.plan import Plan
from study.connection import Client
from study.eval_func import EvalFunc
from study.studies import StudyRecord


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a study ended: why there was nothing more to do, what was counted, and how long it took."""

    reason: str
    tally: Tally
    wall_seconds: float


def run_study(
    record: StudyRecord,
    plan: Plan,
    *,
    client: Client,
    broker_url: str,
    eval_func: EvalFunc | None = None,
    bounds: Bounds | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Drive a study until its plan has nothing more to do; take it up again if it was begun before.

    Args:
        record: the study, as `start_study` wrote it.
        plan: decides what to evaluate.
        client: of the study's Redis.
        broker_url: the broker's.
        eval_func: the user's metric, where it lives in this process.
        bounds: what evaluations can cost at most, where the plan has the same ones.
        on_progress: called about once a second.
        stop: set it to drain: what runs may finish, nothing new is sent.
        clock: seconds, monotonic.

    Raises:
        StudyBusy: another coordinator drives it.
        CredentialsError: the provider refuses the key or the quota.
        InfrastructureError: no worker lives, or evaluations keep failing.
        Interrupted: it was stopped; it can be resumed.
    """
    begun_s = clock()
    with Drive.open(
        record,
        plan,
        client=client,
        broker_url=broker_url,
        eval_func=eval_func,
        bounds=bounds,
        on_progress=on_progress,
        stop=stop or threading.Event(),
        clock=clock,
    ) as drive:
        drive.take_up()
        while not drive.finished:
            drive.ask_and_dispatch()
            drive.collect_and_tell()
            drive.tick()
    return Outcome(reason=plan.finished or "", tally=drive.tally, wall_seconds=clock() - begun_s)

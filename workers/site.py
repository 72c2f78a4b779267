"""Site: what an evaluation works with, passed in whole, so that a test can bring its own."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox import Sandbox
from study.assignments import Assignments
from study.connection import Client
from study.ledger import Ledger
from study.studies import StudyRecord
from workers.judges import Judges
from workers.llm import Endpoint

SLOTS: Final = 16
"""Threads of a worker, unless it is told otherwise: an evaluation mostly waits."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The collaborators of all evaluations in one worker process.

    Args:
        redis: where the study lives.
        assignments: of that Redis.
        ledger: of that Redis.
        endpoint: the API of a study, opened once; raises Unauthorised where there is no key.
        sandbox: the sandbox of a study, opened once; raises SandboxError where there can be none.
        judges: the processes that call users' functions.
        seal_key: shows which answers are a rehearsal's own.
        holder: a new name for each evaluation, unique among all workers and threads.
        has_died: whether the worker of a holder is dead; takes some seconds to be sure.
        clock: seconds that only go forward.
        sleep: waits for some seconds.
        jitter: spreads the retries of many workers.
    """

    redis: Client
    assignments: Assignments
    ledger: Ledger
    endpoint: Callable[[StudyRecord], Endpoint]
    sandbox: Callable[[StudyRecord], Sandbox]
    judges: Judges = field(default_factory=Judges)
    seal_key: bytes = field(default=b"", repr=False)
    holder: Callable[[], str]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: random.Random
    has_died: Callable[[str], bool] = lambda _: False

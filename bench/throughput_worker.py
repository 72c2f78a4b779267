"""A worker process of `bench/throughput.py`; apart from it, since a worker needs nothing of the coordinator.

python bench/throughput_worker.py KIND CONCURRENCY
"""

import os
import sys
from typing import Any, Final

from celery import Celery

from study import broker
from study.messages import EvaluateExample, Paid, Scored
from study.results import Results

NO_OP: Final = "no_op"
QUEUE: Final = "no-ops"
KINDS: Final = ("bare", "celery", "+ coordinator", "+ evaluation", "+ call")
USED: Final = Paid(
    calls=1, prompt_tokens=5, completion_tokens=5, cost_nanodollars=2_500, latency_s=0.1
)


def costs_nothing(responses: list[str], **example: Any) -> dict[str, float]:
    """The evaluator."""
    return {"success": float(len(responses[0]) > 0)}


def no_ops(kind: str, broker_url: str) -> Celery:
    """The app whose task does nothing, with Celery's own settings or bursar's."""
    if kind == "bare":
        app = Celery("bare", broker=broker_url, set_as_current=False)
        app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
    else:
        app = broker.app(broker_url)
    app.conf.update(task_default_queue=QUEUE)
    return app


def nothing() -> None:
    """The no-op."""


def recorded_at_once(message: EvaluateExample, site: Any) -> str:
    """In place of an evaluation: its result, without a look at what is asked for."""
    result = Scored(**message.model_dump(exclude={"study"}), curve={1: 1.0}, paid=USED)
    Results(site.redis, message.study).record(result)
    return "recorded"


def main(kind: str, concurrency: str) -> None:
    """Work until terminated."""
    if kind in ("bare", "celery"):
        app = no_ops(kind, os.environ["BURSAR_BROKER_URL"])
        app.task(name=NO_OP)(nothing)
    else:
        import workers.app

        app = workers.app.app
        if kind == "+ coordinator":
            workers.app.evaluate_example = recorded_at_once
    name = f"--hostname=bench{KINDS.index(kind)}-{os.getpid()}"
    options = [f"--concurrency={concurrency}", name, "--pool=threads", "--loglevel=INFO"]
    app.worker_main(["worker", *options, "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main(*sys.argv[1:])

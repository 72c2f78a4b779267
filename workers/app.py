"""The Celery app of the workers, and the one place where their collaborators are made.

Nothing connects as this is imported: `celery -A workers.app worker` and `python -m workers` do.
"""

import os
import random
import socket
import threading
import time
import uuid
from functools import lru_cache
from typing import Any, Final

import structlog
from celery import Celery, signals
from pydantic import ValidationError

from sandbox import Sandbox, open_sandbox
from sandbox.fitness import expect_fit
from study import broker, connection, fleet
from study.assignments import Assignments
from study.ledger import Ledger
from study.messages import EVALUATE_EXAMPLE, EvaluateExample
from study.spec import EndpointSpec
from study.studies import Source, StudyRecord
from workers import llm, logs
from workers.evaluate import UnknownWork, evaluate_example
from workers.llm import Endpoint
from workers.site import SLOTS, Site
from workers.upkeep import AtHand, Upkeep

LIFE: Final = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
"""This process among all workers that ever were."""
AT_HAND: Final = AtHand()
"""The evaluations that this process is at."""
DEFAULT_URL: Final = "redis://127.0.0.1:6379/0"
SEAL_VARIABLE: Final = "BURSAR_SEAL_KEY"

log = structlog.get_logger()


def redis_url() -> str:
    """Where Redis is: BURSAR_REDIS_URL, else this machine's."""
    return os.environ.get(connection.URL_VARIABLE, "").strip() or DEFAULT_URL


app: Final[Celery] = broker.app(connection.broker_url(redis_url()))
app.conf.update(
    worker_pool="threads",
    worker_concurrency=SLOTS,
    broker_transport="workers.incoming:Transport",
)
app.events.dispatcher_cls = "workers.events:WholeEventDispatcher"


@app.task(name=EVALUATE_EXAMPLE)  # type: ignore[untyped-decorator]
def evaluate(message: dict[str, Any]) -> str:
    """The task: a message in, what came of it in a few words out (for Flower)."""
    try:
        checked = EvaluateExample.model_validate(message)
    except ValidationError as exc:
        wrong = sorted({str(error["loc"]) for error in exc.errors(include_input=False)})
        log.warning("message_refused", wrong=wrong[:10])
        return "refused: not a message of ours"
    with (
        AT_HAND.held(fleet.doing(checked.study, checked.evaluation)),
        structlog.contextvars.bound_contextvars(
            study=checked.study, trial=checked.trial, evaluation=checked.evaluation
        ),
    ):
        try:
            words = evaluate_example(checked, site())
        except UnknownWork as exc:
            log.warning("message_refused", unknown=str(exc)[:200])
            return "refused: unknown study, trial, arm or example"
        log.info("evaluated", outcome=words)
    return words


@lru_cache(maxsize=1)
def site() -> Site:
    """Everything that this process's evaluations work with; made once, by the worker's start."""
    redis = connection.connect(redis_url())
    return Site(
        redis=redis,
        assignments=Assignments(redis),
        ledger=Ledger(redis),
        endpoint=_endpoint_of,
        sandbox=_Sandboxes().of,
        seal_key=os.environ.get(SEAL_VARIABLE, "").encode(),
        holder=lambda: f"{LIFE}/{uuid.uuid4().hex}",
        has_died=lambda holder: fleet.has_died(redis, holder.rpartition("/")[0], sleep=time.sleep),
        clock=time.monotonic,
        sleep=time.sleep,
        jitter=random.Random(),  # noqa: S311 (spreads retries, and must differ between workers)
    )


def _endpoint_of(record: StudyRecord) -> Endpoint:
    spec = record.spec.endpoint
    base_url = llm.base_url_of(spec, override=record.base_url, environ=os.environ)
    return _endpoint(spec, base_url, record.source)


@lru_cache(maxsize=32)
def _endpoint(spec: EndpointSpec, base_url: str | None, source: Source) -> Endpoint:
    key = llm.key_of(spec, base_url=base_url, source=source, environ=os.environ)
    return Endpoint.open(spec, base_url=base_url, key=key)


class _Sandboxes:
    """The sandboxes of this process: one for each image and runtime, opened when first needed."""

    def __init__(self) -> None:
        self._open: dict[tuple[Any, ...], Sandbox] = {}
        self._lock = threading.Lock()

    def of(self, record: StudyRecord) -> Sandbox:
        """The sandbox of a study.

        Raises:
            SandboxError: if there can be none on this host, or it breaks a promise there.
        """
        spec, rehearsal = record.spec.sandbox, record.source is Source.REHEARSAL
        per_container = spec.evaluations_per_container
        key = (spec.runtime, spec.image, tuple(spec.packages), per_container, rehearsal)
        with self._lock:  # building an image takes a while, and once is enough
            if key not in self._open:
                image, packages = spec.image, spec.packages
                expect_fit(runtime=spec.runtime, image=image, packages=packages)
                self._open[key] = open_sandbox(
                    runtime=spec.runtime,
                    image=image,
                    packages=packages,
                    evaluations_per_container=per_container,
                    allow_processes_for="synthetic" if rehearsal else None,
                )
            return self._open[key]


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _configure_logs(**_: object) -> None:
    logs.configure()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _begin(sender: Any, **_: object) -> None:
    name = str(sender.hostname)
    slots = int(sender.controller.concurrency) if hasattr(sender, "controller") else SLOTS
    upkeep = Upkeep(site().redis, name=name, life=LIFE, slots=slots, at_hand=AT_HAND)
    upkeep.start()
    signals.worker_shutting_down.connect(lambda **_: upkeep.stop(), weak=False)
    log.info("worker_ready", worker=name, slots=slots, redis=connection.shown(redis_url()))

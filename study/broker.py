"""The Celery app, with the settings that hold; both ends make it here, so that they can't differ."""

import base64
import json
from typing import Final

from celery import Celery

from study.connection import Client
from study.messages import QUEUE, EvaluateExample

VISIBILITY_TIMEOUT_S: Final = 7200
"""Above twice the longest evaluation (an hour's call at most): a shorter one would run it twice."""


WAITING_MAX: Final = 10_000
"""Messages that are looked through for one that may be lost: about 10 MB."""


def waiting(broker: Client, study: str) -> set[str] | None:
    """The evaluations of a study whose messages wait in the queue for a worker.

    Args:
        broker: a client of the broker's database.
        study: the study's id.

    Returns:
        Their ids; None where too many messages wait to look through them.
    """
    messages = broker.lrange(QUEUE, 0, WAITING_MAX)
    if len(messages) > WAITING_MAX:
        return None
    found = (_read(text) for text in messages)
    return {one.evaluation for one in found if one is not None and one.study == study}


def _read(text: str) -> EvaluateExample | None:
    """A message as Celery's transport keeps it; None where it is not one of ours."""
    try:
        (message,), *_ = json.loads(base64.b64decode(json.loads(text)["body"]))
        return EvaluateExample.model_validate(message)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def app(broker_url: str) -> Celery:
    """Make the app; nothing connects before its first use."""
    transport = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "socket_timeout": 30.0,
    }
    celery = Celery("bursar", broker=broker_url, set_as_current=False)
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue=QUEUE,
        worker_prefetch_multiplier=1,
        # They cost a third of what a message does: a Flower that is there asks for them, every 5 s.
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        broker_transport_options=transport,
        result_backend_transport_options=transport,
        visibility_timeout=VISIBILITY_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=True,
    )
    return celery

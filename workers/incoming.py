"""Incoming: what the broker hands over, looked at before Celery acts on it.

Celery trusts its envelopes: it decompresses, delays, links and names what their headers say, and a
malformed one ends its loop. A worker takes one form only, the one that coordinators send.
"""

import base64
from queue import Empty
from typing import Any, Final, Literal

import structlog
from kombu.transport import redis
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from study.messages import EVALUATE_EXAMPLE, MESSAGE_BYTES_MAX, EvaluateExample

log = structlog.get_logger()


class NotOurs(Exception):
    """The message is not one that a coordinator sends."""


class _Part(BaseModel):
    """A part of an envelope; what is not named here does nothing to a worker."""

    model_config = ConfigDict(strict=True)


class _Headers(_Part):
    """Celery's; anything that it would do beside running the task is left out."""

    task: str
    id: str = Field(max_length=100)
    root_id: str | None = Field(default=None, max_length=100)
    parent_id: str | None = Field(default=None, max_length=100)
    argsrepr: str = Field(default="", max_length=2000)
    kwargsrepr: str = Field(default="", max_length=100)
    retries: Literal[0] = 0
    compression: None = None
    eta: None = None
    expires: None = None
    shadow: None = None
    group: None = None
    timelimit: list[None] | None = None


class _Properties(_Part):
    """Kombu's."""

    delivery_tag: str = Field(max_length=100)
    body_encoding: Literal["base64"]
    correlation_id: str | None = Field(default=None, max_length=100)
    reply_to: str | None = Field(default=None, max_length=100)
    priority: int | None = Field(default=None, ge=0, le=9)
    delivery_info: dict[str, str | bool | None] = {}


class _Envelope(_Part):
    body: str
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    headers: _Headers
    properties: _Properties


class _Nothing(BaseModel):
    """No keyword arguments."""

    model_config = ConfigDict(extra="forbid")


class _Links(_Nothing):
    """What Celery would send on once the task is done: nothing."""

    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None


_BODY: Final = TypeAdapter(tuple[tuple[EvaluateExample], _Nothing, _Links])


def check(item: bytes) -> None:
    """Make sure that a message is one that a coordinator sends.

    Args:
        item: as it lay in the queue.

    Raises:
        NotOurs: saying which part is wrong, never what it holds.
    """
    if len(item) > MESSAGE_BYTES_MAX:
        raise NotOurs(f"{len(item):,} bytes")
    try:
        envelope = _Envelope.model_validate_json(item)
        _BODY.validate_json(base64.b64decode(envelope.body, validate=True))
    except ValidationError as exc:
        wrong = {".".join(map(str, error["loc"])) for error in exc.errors(include_input=False)}
        raise NotOurs(", ".join(sorted(wrong))[:200] or "it is no JSON") from exc
    except ValueError as exc:
        raise NotOurs("body") from exc
    if envelope.headers.task != EVALUATE_EXAMPLE:
        raise NotOurs("headers.task")


class Channel(redis.Channel):
    """Kombu's, with a look at each message as it comes out of the queue.

    BRPOP has taken it by then, and nobody has written it down as unacknowledged: what is refused
    here does not come again.
    """

    def _create_client(self, asynchronous: bool = False) -> Any:
        client = super()._create_client(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        client.set_response_callback("BRPOP", _checked)
        return client

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except NotOurs as exc:
            log.warning("message_refused", wrong=str(exc))
            raise Empty from exc

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        """Operators' commands (Flower's): one that is malformed is no reason to end."""
        try:
            return super()._deliver_fanout_message(  # type: ignore[no-untyped-call]
                message, exchange
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            log.warning("command_refused", wrong=type(exc).__name__)
            raise Empty from exc


class Transport(redis.Transport):
    """Kombu's Redis transport with our channel; workers only, since only they take messages."""

    Channel = Channel


def _checked(response: Any) -> Any:
    if not response:
        return None
    queue, item = response
    check(item)
    return queue, item

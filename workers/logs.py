"""Logs: JSON lines on standard error, with stable event names; no prompt, no code, no key."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict

from workers.failures import redacted


def configure(level: int = logging.INFO) -> None:
    """Send structlog's events, and the standard library's (Celery's), to standard error as JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
            _without_secrets,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("httpx", "httpx2", "httpcore", "httpcore2", "openai"):  # a line for each request
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _without_secrets(_: object, __: str, line: EventDict) -> str:
    return redacted(str(line))

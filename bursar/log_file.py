"""The coordinator's log: a file beside the workers', since the screen belongs to progress and results."""

import logging
from typing import Final

import structlog

from bursar.home import Home, made

FILE_NAME: Final = "coordinator.log"


def log_to_file(home: Home) -> None:
    """Send what coordinator and libraries log to `.bursar/logs/coordinator.log`, a JSON object a line."""
    file = made(home.logs) / FILE_NAME
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("coordinator").setLevel(logging.INFO)
    log_through_logging()


def log_through_logging() -> None:
    """Send structured events through Python's own logging, since structlog alone would print them."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )

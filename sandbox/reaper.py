"""Removes the containers that a dead worker left, whatever step it died in."""

import datetime
import logging

import docker
from docker.errors import DockerException

from sandbox import owner
from sandbox.engine import engine_errors

ZERO = datetime.timedelta()

_log = logging.getLogger(__name__)


def reap(client: docker.DockerClient, *, now_s: float | None = None) -> list[str]:
    """Removes the sandboxes that are past their deadline, or whose owner is gone.

    Args:
        client: of the engine to clean.
        now_s: the time, in unix seconds; the engine's if left out, since a worker whose own clock is
            wrong would remove everybody's.

    Returns:
        The ids of the containers removed. Doing it twice, or in two workers at once, is harmless.

    Raises:
        SandboxError: the engine cannot be asked.
    """
    with engine_errors("cannot list the containers"):
        now_s = _engine_time_s(client) if now_s is None else now_s
        found = client.api.containers(all=True, filters={"label": owner.OWNER})
    removed = []
    for container in found:
        if owner.is_abandoned(container["Labels"], now_s):
            try:
                client.api.remove_container(container["Id"], force=True, v=True)
            except DockerException as exc:  # someone else was faster; else the next sweep has it
                _log.info("container %s was not reaped: %s", container["Id"][:12], exc)
            else:
                removed.append(container["Id"])
    return removed


def _engine_time_s(client: docker.DockerClient) -> float:
    """The engine's clock, to the second: it writes nanoseconds, which not every Python reads."""
    text = str(client.api.info()["SystemTime"])
    moment = datetime.datetime.fromisoformat(text[:19])
    offset = text[19:].lstrip(".0123456789")
    if offset not in ("", "Z"):
        moment -= (
            datetime.datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").utcoffset() or ZERO
        )
    return moment.replace(tzinfo=datetime.UTC).timestamp()

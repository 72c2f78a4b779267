"""Removes the containers that nobody wants any more, whatever step their worker died or gave up in."""

import logging

import docker
from docker.errors import DockerException

from sandbox import owner
from sandbox.engine import engine_errors, engine_time_s

_log = logging.getLogger(__name__)


def reap(client: docker.DockerClient, *, now_s: float | None = None) -> list[str]:
    """Removes the sandboxes that are past their deadline, whose owner is gone, or that we have given up.

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
        now_s = engine_time_s(client) if now_s is None else now_s
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

"""Removes the containers that a dead worker left, whatever step it died in."""

import logging
import time

import docker
from docker.errors import DockerException

from sandbox import owner
from sandbox.engine import engine_errors

_log = logging.getLogger(__name__)


def reap(client: docker.DockerClient, *, now_s: float | None = None) -> list[str]:
    """Removes the sandboxes that are past their deadline, or whose owner is gone.

    Args:
        client: of the engine to clean.
        now_s: the time, in unix seconds; the clock's if left out.

    Returns:
        The ids of the containers removed. Doing it twice, or in two workers at once, is harmless.

    Raises:
        SandboxError: the engine cannot be asked.
    """
    now_s = time.time() if now_s is None else now_s
    with engine_errors("cannot list the containers"):
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

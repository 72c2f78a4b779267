"""Engine: whether this machine can run untrusted programs, known before a cent is spent."""

from typing import Final

from study.errors import InfrastructureError
from study.studies import Source

NO_CONTAINERS: Final = (
    "NO CONTAINERS: no Docker engine can be reached, so this rehearsal's own synthetic programs run "
    "as plain processes of this machine. Nothing else would be run that way."
)


def check(source: Source) -> str | None:
    """Make sure that answers can be run here.

    Args:
        source: whose answers; a rehearsal's synthetic ones are our own programs.

    Returns:
        What the user must be told loudly, if anything.

    Raises:
        InfrastructureError: there is no engine, and a real model's answers need one.
    """
    from sandbox import SandboxError  # takes a moment, for the engine's client
    from sandbox.engine import connect

    try:
        connect().close()
    except SandboxError as exc:
        if source is Source.REHEARSAL:
            return NO_CONTAINERS
        raise InfrastructureError(
            f"{exc.cause}. A model's answers are untrusted programs and run in containers only: "
            "start a Docker engine, or let DOCKER_HOST name one; `bursar doctor` checks it"
        ) from exc
    return None

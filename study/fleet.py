"""The fleet: which workers are there, from heartbeats in Redis, so that a silence can be explained."""

from typing import Final

from pydantic import BaseModel, ConfigDict

from study import keys
from study.connection import Client

HEARTBEAT_TTL_MS: Final = 15_000
"""A worker says that it is there at least three times within this."""
HEARTBEAT_S: Final = 4.0


class Worker(BaseModel):
    """A live worker: `slots` evaluations at once; `engine` says whether it can start containers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    host: str
    pid: int
    slots: int
    engine: bool


def beat(redis: Client, worker: Worker) -> None:
    """Say that a worker is there, for `HEARTBEAT_TTL_MS`."""
    redis.set(keys.worker(worker.name), worker.model_dump_json(), px=HEARTBEAT_TTL_MS)


def leave(redis: Client, name: str) -> None:
    """Say that a worker has gone."""
    redis.delete(keys.worker(name))


def workers(redis: Client) -> list[Worker]:
    """The workers that are there now, by name."""
    names = list(redis.scan_iter(match=keys.worker("*"), count=1000))
    found = redis.mget(names) if names else []
    alive = {worker.name: worker for worker in map(Worker.model_validate_json, filter(None, found))}
    return [alive[name] for name in sorted(alive)]

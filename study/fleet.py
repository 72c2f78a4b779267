"""The fleet: which workers live and what each is at, from heartbeats in Redis.

Whether a worker lives is never read off a clock that two machines would have to share: it lives if
its heartbeat's number goes up while the one who asks waits.
"""

from collections.abc import Callable
from typing import Final

from pydantic import BaseModel, ConfigDict

from study import keys
from study.connection import Client

HEARTBEAT_S: Final = 3.0
HEARTBEAT_TTL_MS: Final = 15_000
"""A worker says that it is there at least three times within this."""
SILENT_S: Final = 12.0
"""An evaluation that no worker was at and no message asked for during this is lost: it is sent again."""
LOOKS_APART_S: Final = 7.0
"""Above two heartbeats: a worker that says nothing between two looks is taken for dead."""
NAMES_TTL_S: Final = 86_400


class Worker(BaseModel):
    """A live worker: `slots` evaluations at once; `engine` says whether it can start containers.

    `life` is another one each time that it starts, `beat` counts within it; `at_hand` names the
    evaluations that it is at, each as `doing` names it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    host: str
    pid: int
    slots: int
    engine: bool
    life: str = ""
    beat: int = 0
    at_hand: tuple[str, ...] = ()


def doing(study: str, evaluation: str) -> str:
    """An evaluation's name among all studies'."""
    return f"{study}:{evaluation}"


def beat(redis: Client, worker: Worker) -> None:
    """Say that a worker is there, for `HEARTBEAT_TTL_MS`."""
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.set(keys.worker(worker.name), worker.model_dump_json(), px=HEARTBEAT_TTL_MS)
        pipeline.sadd(keys.workers(), worker.name)
        pipeline.expire(keys.workers(), NAMES_TTL_S)
        pipeline.execute()


def leave(redis: Client, name: str) -> None:
    """Say that a worker has gone."""
    redis.delete(keys.worker(name))


def workers(redis: Client) -> list[Worker]:
    """The workers that are there now, by name; the names of those that are not are forgotten."""
    names = sorted(redis.smembers(keys.workers()))
    found = redis.mget([keys.worker(name) for name in names]) if names else []
    if gone := [name for name, text in zip(names, found, strict=True) if text is None]:
        redis.srem(keys.workers(), *gone)  # one that is late says its name again
    return [Worker.model_validate_json(text) for text in found if text is not None]


def has_died(redis: Client, life: str, *, sleep: Callable[[float], None]) -> bool:
    """Whether a worker is dead, or cut off from Redis; it takes `LOOKS_APART_S` to be sure.

    Args:
        redis: where heartbeats are.
        life: the worker's.
        sleep: waits for some seconds.
    """
    before = _beats(redis).get(life)
    sleep(LOOKS_APART_S)
    now = _beats(redis).get(life)
    return now is None or now == before


def _beats(redis: Client) -> dict[str, int]:
    return {worker.life: worker.beat for worker in workers(redis)}

"""Upkeep: what a worker does beside its evaluations: saying that it is there, and reaping containers."""

import itertools
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from redis.exceptions import RedisError

from sandbox import SandboxError, reap
from sandbox.engine import connect
from study import fleet
from study.connection import Client
from study.fleet import Worker

REAP_S: Final = 20.0
"""A dead worker's containers are gone within a minute, even where one sweep finds the engine busy."""

log = structlog.get_logger()


class AtHand:
    """What this process is at, for its heartbeats to tell; any thread may say so."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Be at an evaluation while the context lasts."""
        with self._lock:
            self._held[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[name] -= 1
                self._held += Counter()  # forgets what is at zero

    def names(self) -> tuple[str, ...]:
        """The evaluations that this process is at."""
        with self._lock:
            return tuple(self._held)


class Upkeep:
    """Two daemon threads, from `start` to `stop`.

    Args:
        redis: where heartbeats are.
        name: the worker's, as Celery knows it.
        life: this process's own name among all workers that ever were.
        slots: how many evaluations it makes at once.
        at_hand: which ones these are.
        reap_s: the seconds between two looks for what dead workers left.
    """

    def __init__(
        self,
        redis: Client,
        *,
        name: str,
        life: str,
        slots: int,
        at_hand: AtHand,
        reap_s: float = REAP_S,
    ) -> None:
        self._redis, self._name, self._life, self._slots = redis, name, life, slots
        self._at_hand, self._beats = at_hand, itertools.count(1)
        self._reap_s = reap_s
        self._stopped = threading.Event()
        self._engine = False

    def start(self) -> None:
        """Say that this worker is there, reap what dead ones left, and go on doing both."""
        self._repeat("heartbeat", fleet.HEARTBEAT_S, self._beat)
        self._repeat("reaper", self._reap_s, self._reap)

    def stop(self) -> None:
        """Say that this worker has gone."""
        self._stopped.set()
        try:
            fleet.leave(self._redis, self._name)
        except RedisError as exc:  # the heartbeat ends by itself
            log.info("leave_not_said", reason=type(exc).__name__)

    def _repeat(self, name: str, every_s: float, act: Callable[[], None]) -> None:
        def run() -> None:
            act()
            while not self._stopped.wait(every_s):
                act()

        threading.Thread(target=run, name=name, daemon=True).start()

    def _reap(self) -> None:
        try:
            client = connect()
        except SandboxError as exc:
            log.warning("no_engine", cause=exc.cause)
            self._engine = False
            return
        if not self._engine:
            self._engine = True
            self._beat()
        try:
            if removed := reap(client):
                log.info("containers_reaped", count=len(removed))
        except SandboxError as exc:
            log.warning("reaper_failed", cause=exc.cause)
        finally:
            client.close()

    def _beat(self) -> None:
        worker = Worker(
            name=self._name,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=self._slots,
            engine=self._engine,
            life=self._life,
            beat=next(self._beats),
            at_hand=self._at_hand.names(),
        )
        try:
            fleet.beat(self._redis, worker)
        except RedisError as exc:
            log.warning("heartbeat_failed", reason=type(exc).__name__)

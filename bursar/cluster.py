"""Cluster: where studies live and who evaluates them: this machine, or the fleet of a Redis URL."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import redis

from bursar.home import Home
from bursar.local_redis import LocalRedis
from bursar.local_workers import LocalWorkers, local_environment
from study import connection
from study.connection import Client


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A Redis that answers, and how evaluations get workers.

    Args:
        home: the folder `.bursar`.
        url: of Redis.
        client: of that Redis.
        is_local: whether Redis and the workers are this command's own.
    """

    home: Home
    url: str
    client: Client
    is_local: bool

    @property
    def broker_url(self) -> str:
        """Where the messages go."""
        return connection.broker_url(self.url)

    @contextmanager
    def workers(
        self,
        *,
        concurrency: int,
        additions: Mapping[str, str],
        on_failure: Callable[[], None],
    ) -> Iterator[LocalWorkers | None]:
        """Have workers while the context lasts: started here if local, else those of the fleet.

        Args:
            concurrency: evaluations in flight.
            additions: what local workers find in their environment beyond ours.
            on_failure: called from another thread where local workers can't be kept alive.

        Yields:
            The local workers; None in a fleet, which looks after its own.
        """
        if not self.is_local:
            yield None
            return
        with LocalWorkers(
            concurrency=concurrency,
            environment=local_environment(self.url, additions),
            logs=self.home.logs,
            on_failure=on_failure,
        ) as workers:
            yield workers


@contextmanager
def reach(home: Home) -> Iterator[Cluster]:
    """Reach the Redis that BURSAR_REDIS_URL names; where it names none, have the folder's own.

    Raises:
        InfrastructureError: it does not answer, or can't be started.
    """
    named = os.environ.get(connection.URL_VARIABLE)
    with ExitStack() as stack:
        url = named or stack.enter_context(LocalRedis(home.redis)).url
        client = connection.connect(url)
        stack.callback(_close, client)
        connection.check(client, url)
        yield Cluster(home=home, url=url, client=client, is_local=not named)


def has_studies(home: Home) -> bool:
    """Whether there can be studies: a fleet's Redis, or one that ever ran in this folder."""
    return bool(os.environ.get(connection.URL_VARIABLE)) or LocalRedis(home.redis).has_data


def _close(client: Client) -> None:
    with suppress(redis.RedisError):
        client.close()

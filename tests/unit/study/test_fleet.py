"""The fleet: who is there says so, and whoever falls silent is gone."""

from study import fleet, keys
from study.connection import Client


def worker(name: str) -> fleet.Worker:
    return fleet.Worker(name=name, host="h", pid=1, slots=4, engine=True)


def test_workers_are_there_from_their_first_beat_until_they_leave(client: Client) -> None:
    assert fleet.workers(client) == []
    for name in ("b", "a", "a"):
        fleet.beat(client, worker(name))
    assert fleet.workers(client) == [worker("a"), worker("b")]
    fleet.leave(client, "a")
    assert fleet.workers(client) == [worker("b")]


def test_a_worker_that_falls_silent_is_gone_by_itself(client: Client) -> None:
    fleet.beat(client, worker("a"))
    assert 0 < client.pttl(keys.worker("a")) <= fleet.HEARTBEAT_TTL_MS
    assert fleet.HEARTBEAT_S * 3 * 1000 <= fleet.HEARTBEAT_TTL_MS
    client.pexpire(keys.worker("a"), 0)
    assert fleet.workers(client) == []

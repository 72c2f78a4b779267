"""The fleet's heartbeats."""

from study import fleet, keys
from study.connection import Client


def worker(name: str, beat: int = 0) -> fleet.Worker:
    return fleet.Worker(
        name=name, host="h", pid=1, slots=4, engine=True, life=f"life of {name}", beat=beat
    )


def test_workers_are_known_while_their_hearts_beat(client: Client) -> None:
    assert fleet.workers(client) == []
    for name in ("b", "a"):
        fleet.beat(client, worker(name))
    assert fleet.workers(client) == [worker("a"), worker("b")]
    fleet.leave(client, "a")
    assert fleet.workers(client) == [worker("b")]


def test_a_dead_workers_heartbeat_ends_by_itself_and_its_name_is_forgotten(client: Client) -> None:
    fleet.beat(client, worker("a"))
    assert 0 < client.pttl(keys.worker("a")) <= fleet.HEARTBEAT_TTL_MS
    assert fleet.HEARTBEAT_S * 3 * 1000 <= fleet.HEARTBEAT_TTL_MS
    client.pexpire(keys.worker("a"), 0)
    assert fleet.workers(client) == []
    assert client.smembers(keys.workers()) == set()


def test_a_worker_whose_heart_beats_on_is_alive_and_any_other_is_dead(client: Client) -> None:
    fleet.beat(client, worker("alive"))
    fleet.beat(client, worker("dead"))
    fleet.beat(client, worker("ending"))
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        fleet.beat(client, worker("alive", beat=len(slept)))
        fleet.leave(client, "ending")

    assert not fleet.has_died(client, "life of alive", sleep=sleep)
    assert fleet.has_died(client, "life of dead", sleep=sleep)
    assert fleet.has_died(client, "life of ending", sleep=sleep)
    assert fleet.has_died(client, "life of nobody", sleep=sleep)
    assert set(slept) == {fleet.LOOKS_APART_S}
    assert fleet.LOOKS_APART_S > 2 * fleet.HEARTBEAT_S


def test_a_worker_that_comes_back_between_two_looks_is_alive(client: Client) -> None:
    """Redis was away for long: all heartbeats had ended, and the workers say again that they live."""
    assert not fleet.has_died(
        client, "life of a", sleep=lambda _: fleet.beat(client, worker("a", beat=9))
    )

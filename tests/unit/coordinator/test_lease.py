"""Lease: who lives is not disturbed, who died is waited for, whatever the clock of Redis says."""

import threading
from collections.abc import Callable

import pytest

from coordinator.lease import Lease
from study import keys
from study.connection import Client
from study.errors import NotBegun, StudyBusy
from study.studies import LEASE_MS, Studies, StudyStatus

STUDY = "s"


class Waiting(threading.Event):
    """A stop that nobody sets; each wait moves the clock by a second, and something may happen in it."""

    def __init__(self, happens: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.now_s, self._happens = 0.0, happens

    def wait(self, timeout: float | None = None) -> bool:
        """Wait no time."""
        self.now_s += 1.0
        self._happens()
        return self.is_set()


def lease(client: Client, holder: str, waiting: Waiting) -> Lease:
    return Lease(Studies(client), STUDY, holder, clock=lambda: waiting.now_s)


def test_a_free_study_is_taken_at_once(client: Client) -> None:
    waiting = Waiting()
    lease(client, "me", waiting).take(waiting)
    assert client.get(keys.lease(STUDY)) == "me"
    assert waiting.now_s == 0


def test_a_living_holder_is_left_alone(client: Client) -> None:
    studies = Studies(client)
    studies.take_lease(STUDY, "alive")
    client.pexpire(keys.lease(STUDY), LEASE_MS // 2)
    waiting = Waiting(lambda: studies.renew_lease(STUDY, "alive"))
    with pytest.raises(StudyBusy, match="bursar stop s"):
        lease(client, "me", waiting).take(waiting)
    assert client.get(keys.lease(STUDY)) == "alive"


def test_a_dead_holders_lease_is_waited_for(client: Client) -> None:
    Studies(client).take_lease(STUDY, "dead")
    waiting = Waiting(lambda: client.pexpire(keys.lease(STUDY), 0))  # its time passes
    lease(client, "me", waiting).take(waiting)
    assert client.get(keys.lease(STUDY)) == "me"


def test_a_dead_holder_is_found_out_even_where_the_clock_of_redis_was_set_back(
    client: Client,
) -> None:
    Studies(client).take_lease(STUDY, "dead")
    client.pexpire(keys.lease(STUDY), 3_600_000)  # what is left, after a jump of an hour
    waiting = Waiting()
    lease(client, "me", waiting).take(waiting)
    assert client.get(keys.lease(STUDY)) == "me"
    assert LEASE_MS / 1000 < waiting.now_s < 2 * LEASE_MS / 1000


def test_waiting_for_a_dead_holder_can_be_stopped(client: Client) -> None:
    Studies(client).take_lease(STUDY, "dead")
    waiting = Waiting()
    waiting.set()
    with pytest.raises(NotBegun, match="bursar resume s"):
        lease(client, "me", waiting).take(waiting)
    assert client.get(keys.lease(STUDY)) == "dead"


def test_who_lost_a_study_says_nothing_about_it_any_more(client: Client) -> None:
    studies, waiting = Studies(client), Waiting()
    slow = lease(client, "slow", waiting)
    slow.take(waiting)
    client.delete(keys.lease(STUDY))
    lease(client, "quick", waiting).take(waiting)
    studies.set_status(STUDY, StudyStatus.RUNNING)
    with pytest.raises(StudyBusy):
        slow.renew()
    slow.end(StudyStatus.FAILED)
    assert studies.status(STUDY) is StudyStatus.RUNNING
    assert client.get(keys.lease(STUDY)) == "quick"

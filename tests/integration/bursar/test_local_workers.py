"""Local workers: there while the context lasts, started again when they die, never left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bursar.local_workers import LocalWorkers, local_environment
from study import fleet
from study.connection import Client

WAIT_S = 60.0


@pytest.fixture
def alive(client: Client) -> Callable[[int], list[fleet.Worker]]:
    """Waits until so many workers have said that they are there."""

    def wait(count: int) -> list[fleet.Worker]:
        deadline = time.monotonic() + WAIT_S
        pause = threading.Event()
        while len(found := fleet.workers(client)) != count:
            assert time.monotonic() < deadline, found
            pause.wait(0.05)
        return found

    return wait


@pytest.fixture
def failed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def workers(redis_url: str, tmp_path: Path, failed: threading.Event) -> Iterator[LocalWorkers]:
    with LocalWorkers(
        concurrency=4,
        environment=local_environment(redis_url, {}),
        logs=tmp_path / "logs",
        on_failure=failed.set,
    ) as started:
        yield started


def test_they_have_as_many_slots_as_were_asked_for(
    workers: LocalWorkers, alive: Callable[[int], list[fleet.Worker]]
) -> None:
    found = alive(workers.processes)
    assert sum(worker.slots for worker in found) == 4


def test_one_that_is_killed_is_started_again(
    workers: LocalWorkers, alive: Callable[[int], list[fleet.Worker]], failed: threading.Event
) -> None:
    before = {worker.pid for worker in alive(workers.processes)}
    os.kill(min(before), signal.SIGKILL)
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while {worker.pid for worker in alive(workers.processes)} == before:
        assert time.monotonic() < deadline
        pause.wait(0.05)
    assert workers.restarts == 1
    assert not failed.is_set()


def test_workers_that_do_not_stay_alive_are_given_up_with_their_last_words(
    tmp_path: Path, failed: threading.Event
) -> None:
    with LocalWorkers(
        concurrency=1,
        environment=local_environment("nonsense://", {}),
        logs=tmp_path / "logs",
        on_failure=failed.set,
    ) as workers:
        assert failed.wait(WAIT_S)
    assert workers.failure is not None
    assert "BURSAR_REDIS_URL is not a Redis URL" in str(workers.failure)
    assert "worker-1.log" in str(workers.failure)


def test_they_end_when_who_started_them_is_killed(redis_url: str, tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from bursar.local_workers import LocalWorkers, local_environment\n"
        "with LocalWorkers(concurrency=1, environment=local_environment(sys.argv[1], {}),\n"
        "                  logs=Path(sys.argv[2]), on_failure=lambda: None) as workers:\n"
        "    print(workers._workers[0].process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, redis_url, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        worker = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    worker.wait(WAIT_S)


def test_nothing_of_ours_is_left_afterwards(workers: LocalWorkers) -> None:
    pids = [worker.process.pid for worker in workers._workers]
    workers.__exit__()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    workers._stopping.clear()  # the fixture leaves once more, which changes nothing

"""Workers and coordinators killed with -9 in the middle of a study: nothing paid is lost or paid twice."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study import keys
from study.connection import Client
from study.ledger import Ledger
from study.paid_calls import PaidCall
from study.studies import Studies, StudyStatus

pytestmark = pytest.mark.slow

Start = Callable[[], "subprocess.Popen[bytes]"]


def wait_until(what: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Look often until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def kill(process: "subprocess.Popen[Any]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def paid_calls(client: Client, study: str) -> list[PaidCall]:
    found = []
    for key in client.scan_iter(match=keys.paid_calls(study, "*", "*").replace("{", "[{]")):
        found += [PaidCall.from_json(text) for text in client.hvals(key)]
    return found


def check_books(crash: Any, client: Client, study: str, *, in_doubt: bool) -> None:
    """The endpoint's own books, the ledger, and what is stored agree."""
    balance, books = Ledger(client).balance(study), crash.server.books()
    paid = paid_calls(client, study)
    assert paid, "nothing was bought"
    assert balance.limit is not None
    assert balance.spent + balance.reserved <= balance.limit
    assert books.billed_nanodollars <= balance.spent
    assert balance.reserved == 0
    assert balance.overrun == 0
    assert client.hlen(keys.sent(study)) == 0
    assert sum(call.cost_nanodollars for call in paid) == balance.spent - balance.in_doubt
    if not in_doubt:
        assert balance.in_doubt == 0
        assert books.billed_nanodollars == balance.spent
        assert books.billed_calls == len(paid)
    journal = list(Ledger(client).journal(study))
    assert sum(movement.spent for movement in journal) == balance.spent
    assert sum(movement.reserved for movement in journal) == balance.reserved
    standing = spent = 0
    for movement in journal:
        standing, spent = standing + movement.reserved, spent + movement.spent
        assert standing + spent <= balance.limit


def test_a_killed_coordinator_is_resumed_and_nothing_is_paid_twice(
    crash: Any, work: Start, problems: Path, client: Client
) -> None:
    work()
    file = crash.write(data=problems)
    coordinator = crash.begin("tune", str(file))
    studies = Studies(client)
    wait_until(lambda: bool(studies.ids()) and crash.server.books().billed_calls >= 12)
    (study,) = studies.ids()
    kill(coordinator)
    coordinator.communicate()
    wait_until(lambda: not client.exists(keys.lease(study)))
    found = crash.run("resume", study)
    assert found["status"] == "complete"
    assert found["study"] == study
    assert found["best"]["value"] > 0
    check_books(crash, client, study, in_doubt=False)


def test_a_killed_worker_leaves_nothing_undone(
    crash: Any, work: Start, problems: Path, client: Client
) -> None:
    doomed = work()
    coordinator = crash.begin("tune", str(crash.write(data=problems)))
    studies = Studies(client)
    wait_until(lambda: bool(studies.ids()) and crash.server.books().in_flight >= 3)
    (study,) = studies.ids()
    kill(doomed)
    work()
    out, err = coordinator.communicate(timeout=200)
    assert coordinator.returncode == 0, err[-3000:]
    assert '"complete"' in out
    check_books(crash, client, study, in_doubt=True)


def test_an_interrupted_study_says_how_to_go_on_and_goes_on(
    crash: Any, work: Start, problems: Path, client: Client
) -> None:
    work()
    coordinator = crash.begin("tune", str(crash.write(data=problems)))
    wait_until(lambda: crash.server.books().billed_calls >= 6)
    os.kill(coordinator.pid, signal.SIGINT)
    _, err = coordinator.communicate(timeout=60)
    (study,) = Studies(client).ids()
    assert coordinator.returncode == 130
    assert f"bursar resume {study}" in err
    assert Ledger(client).balance(study).reserved == 0
    found = crash.run("resume", study)
    assert found["status"] == "complete"
    check_books(crash, client, study, in_doubt=False)


def test_after_ctrl_c_no_worker_begins_a_call_even_if_its_message_was_sent_before(
    crash: Any, work: Start, problems: Path, client: Client
) -> None:
    coordinator = crash.begin("tune", str(crash.write(data=problems)))  # nobody works yet
    studies = Studies(client)
    wait_until(lambda: bool(studies.ids()))
    (study,) = studies.ids()
    wait_until(lambda: client.hlen(keys.sent(study)) >= 3)
    os.kill(coordinator.pid, signal.SIGINT)
    wait_until(lambda: studies.status(study) is StudyStatus.STOPPING)
    work()
    _, err = coordinator.communicate(timeout=120)
    assert coordinator.returncode == 130
    assert f"bursar resume {study}" in err
    assert crash.server.books().calls == 0
    assert studies.status(study) is StudyStatus.INTERRUPTED


def test_two_coordinators_never_drive_one_study(
    crash: Any, work: Start, problems: Path, client: Client
) -> None:
    work()
    first = crash.begin("tune", str(crash.write(data=problems, trials=200, limit=100.0)))
    wait_until(lambda: crash.server.books().billed_calls >= 2)
    (study,) = Studies(client).ids()
    refused = crash.run("resume", study, code=4)
    assert "another coordinator" in refused["error"]["message"]
    assert crash.run("stop", study)["study"] == study
    _, err = first.communicate(timeout=60)
    assert first.returncode == 130, err[-2000:]


def test_a_small_budget_is_never_passed_and_used_to_the_last_call(
    crash: Any, work: Start, problems: Path, client: Client
) -> None:
    work()
    found = crash.run("tune", str(crash.write(data=problems, limit=0.01)))
    assert found["status"] == "complete"
    assert found["budget"]["spent_usd"] <= 0.01
    check_books(crash, client, found["study"], in_doubt=False)

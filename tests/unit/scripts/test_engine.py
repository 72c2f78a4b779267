"""The Docker engine: what is said where none can be had, and that one that hangs is none."""

import socket

import pytest

from scripts import engine
from scripts.dockerd import Dockerd

REFUSED = "('Connection aborted.', PermissionError(13, 'Permission denied'))"
ABSENT = "('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("BURSAR_NO_ENGINE", raising=False)


def test_a_user_whom_the_engine_refuses_is_told_which_group_to_join():
    assert "usermod -aG docker" in engine.remedy(REFUSED)
    assert "apt-get install" not in engine.remedy(REFUSED)


def test_where_no_engine_is_the_user_is_told_what_to_install():
    assert "apt-get install docker.io" in engine.remedy(ABSENT)


def test_a_dead_docker_host_is_named_and_nothing_is_started_instead(root, tmp_path, monkeypatch):
    host = f"unix://{tmp_path}/none.sock"
    monkeypatch.setenv("DOCKER_HOST", host)
    found = engine.see_to(root, Dockerd(folder=tmp_path), log=tmp_path / "log")
    assert not found.usable
    assert f"DOCKER_HOST={host} does not answer" in found.sentence
    assert not list(tmp_path.iterdir())


def test_an_engine_that_hangs_is_no_engine(root, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "PROBE_TIMEOUT_S", 1.0)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "docker.sock"))
        listener.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        found = engine.probe(root)
    assert not found.usable
    assert "it hangs" in found.sentence


def test_who_asks_for_no_engine_gets_none(root, tmp_path, monkeypatch):
    monkeypatch.setenv("BURSAR_NO_ENGINE", "1")
    found = engine.see_to(root, Dockerd(folder=tmp_path), log=tmp_path / "log")
    assert not found.usable
    assert "BURSAR_NO_ENGINE is set" in found.sentence

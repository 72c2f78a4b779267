"""A daemon of our own, played by a small program that answers a ping on the socket it is given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import dockerd
from scripts.dockerd import Dockerd, NoDaemonError

# A daemon is meant to outlive the process that starts it.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

# Needs the arguments in {needs}; with "hang" among them it takes connections and never answers.
DAEMON = """#!{python}
import pathlib, socket, sys
needs = {needs!r}.split()
missing = [word for word in needs if word not in sys.argv and word != "hang"]
if missing:
    sys.exit("failed to start daemon: without " + " ".join(missing))
listener = socket.socket(socket.AF_UNIX)
listener.bind({socket!r})
listener.listen()
pathlib.Path({pid_file!r}).write_text(str(__import__("os").getpid()))
while True:
    connection, _ = listener.accept()
    if "hang" not in needs:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nOK")
        connection.close()
"""


@pytest.fixture
def home(tmp_path):
    home = Dockerd(folder=tmp_path, socket=tmp_path / "sock", pid_file=tmp_path / "docker.pid")
    yield home
    dockerd.stop(home)


@pytest.fixture
def daemon(tmp_path, home, program, monkeypatch):
    """Puts a daemon on PATH that starts only with the arguments that it needs."""

    def write(needs: str = "") -> Path:
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        text = DAEMON.format(
            python=sys.executable, needs=needs, socket=str(home.socket), pid_file=str(home.pid_file)
        )
        return program(tmp_path / "bin" / "dockerd", text)

    return write


def test_a_daemon_is_started_noted_and_stopped(home, daemon):
    daemon()
    assert "started dockerd (pid" in dockerd.start(home)
    pid = int(home.note.read_text())
    assert dockerd.answers(home.socket)
    assert dockerd.is_ours(pid, home)
    assert dockerd.stop(home) == f"stopped dockerd (pid {pid})"
    assert not dockerd.answers(home.socket)
    assert not home.note.exists()


@pytest.mark.parametrize(
    "needs", ["--storage-driver=vfs", "--bridge=none", "--bridge=none --storage-driver=vfs"]
)
def test_what_the_machine_does_not_allow_is_left_out(home, daemon, needs):
    daemon(needs)
    assert needs.split()[-1] in dockerd.start(home)
    assert dockerd.answers(home.socket)


def test_after_a_crash_the_second_start_needs_no_less(home, daemon, tmp_path, program):
    text = daemon().read_text()
    once = f"p = __import__('pathlib').Path({str(tmp_path / 'left')!r})\nif p.exists(): p.unlink(); exit(1)\n"
    shebang, rest = text.split("\n", 1)
    program(tmp_path / "bin" / "dockerd", f"{shebang}\n{once}{rest}")
    (tmp_path / "left").touch()
    assert "started dockerd (pid" in dockerd.start(home)


def test_when_nothing_helps_the_daemons_last_words_are_shown(home, daemon):
    daemon("--never-given")
    with pytest.raises(NoDaemonError, match="failed to start daemon: without --never-given"):
        dockerd.start(home)
    assert not home.note.exists()


def test_a_daemon_that_hangs_is_ended_again(home, daemon, monkeypatch):
    daemon("hang")
    monkeypatch.setattr(dockerd, "ATTEMPTS", ((),))
    monkeypatch.setattr(dockerd, "START_TIMEOUT_S", 1.0)
    monkeypatch.setattr(dockerd, "ANSWER_TIMEOUT_S", 0.2)
    with pytest.raises(NoDaemonError):
        dockerd.start(home)
    assert dockerd.pid_of_running(home.pid_file) is None


def test_a_daemon_that_runs_already_is_used_and_not_doubled(home, daemon):
    with subprocess.Popen([daemon()]) as running:
        try:
            while dockerd.pid_of_running(home.pid_file) is None:
                assert running.poll() is None
            assert dockerd.start(home) == f"found one that was starting (pid {running.pid})"
            assert not home.note.exists()
            assert not home.log.exists()
        finally:
            running.terminate()


def test_a_stale_pid_file_is_no_hindrance(home, daemon):
    daemon()
    home.pid_file.write_text(str(os.getpid()))  # a pid used again, by something else
    dockerd.start(home)
    assert dockerd.answers(home.socket)


def test_a_pid_used_again_by_another_process_is_left_alone(home):
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            home.note.write_text(str(other.pid))
            assert dockerd.stop(home) == "none of ours runs"
            assert other.poll() is None
        finally:
            other.terminate()

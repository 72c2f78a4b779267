"""A Docker daemon of our own: started where none runs, and stopped by `make down`."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts import programs
from scripts.step import announce, last_lines

START_TIMEOUT_S = 30.0  # a daemon that has not answered by then will not
STOP_TIMEOUT_S = 30.0  # it stops its containers first
ANSWER_TIMEOUT_S = 3.0
POLL_EVERY_S = 0.1

NO_NETWORK = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
SIMPLE_STORAGE = ("--storage-driver=vfs",)
# From what we would like to what the sandbox can live with: it needs no network and little storage.
# Twice the same at first: after a crash, the first daemon ends over what the last one left behind.
ATTEMPTS = ((), (), SIMPLE_STORAGE, NO_NETWORK, NO_NETWORK + SIMPLE_STORAGE)


class NoDaemonError(Exception):
    """No Docker daemon could be started, or the running one does not answer; says why."""


@dataclass(frozen=True, kw_only=True)
class Dockerd:
    """Where a daemon of ours lives.

    Attributes:
        folder: holds its log and our note of its pid (the checkout's `.bursar`).
        socket: where it answers.
        pid_file: the daemon's own; Docker's default, so that no second daemon starts beside it.
        arguments: what else it is started with.
    """

    folder: Path
    socket: Path = Path("/var/run/docker.sock")
    pid_file: Path = Path("/var/run/docker.pid")
    arguments: Sequence[str] = field(default=())

    @property
    def log(self) -> Path:
        """The file that the daemon writes its log to."""
        return self.folder / "dockerd.log"

    @property
    def note(self) -> Path:
        """The file that says which process we started; gone where we started none."""
        return self.folder / "dockerd.pid"

    @property
    def label(self) -> str:
        """What marks a process as ours on its command line: pids are used again, this is not."""
        return f"--label=started-by={self.folder.resolve()}"


def start(home: Dockerd) -> str:
    """Sees to it that a daemon answers on the socket: waits for one that runs, else starts one.

    Args:
        home: where it lives.

    Returns:
        What was done.

    Raises:
        NoDaemonError: none answers after all attempts.
    """
    running = pid_of_running(home.pid_file)
    if running is not None:
        if _wait_until_answers(home.socket, lambda: pid_of_running(home.pid_file) == running):
            return f"found one that was starting (pid {running})"
        raise NoDaemonError(
            f"A dockerd runs (pid {running}) but did not answer within {START_TIMEOUT_S:.0f} s: "
            "end or restart it (`make down` where bursar started it), then run make again."
        )
    home.pid_file.unlink(missing_ok=True)  # what a crash or a reboot has left
    for arguments in ATTEMPTS:
        tried = " ".join(["dockerd", *arguments])
        announce("engine", f"starting {tried} (log in {home.log})")
        pid = _attempt(home, arguments)
        if pid is not None:
            home.note.write_text(f"{pid}\n")
            return f"started {tried} (pid {pid}; `make down` stops it)"
    raise NoDaemonError(f"dockerd can't start here. The end of {home.log}:\n{last_lines(home.log)}")


def stop(home: Dockerd) -> str:
    """Stops the daemon that `start` started, and no other.

    Args:
        home: where it lives.

    Returns:
        What was done.

    Raises:
        NoDaemonError: it did not stop in time.
    """
    pid = _read_pid(home.note)
    if pid is None or not is_ours(pid, home):
        home.note.unlink(missing_ok=True)
        return "none of ours runs"
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while is_ours(pid, home):
        if time.monotonic() > deadline:
            raise NoDaemonError(f"dockerd (pid {pid}) does not stop; its log is {home.log}.")
        time.sleep(POLL_EVERY_S)
    home.note.unlink(missing_ok=True)
    return f"stopped dockerd (pid {pid})"


def answers(socket_path: Path) -> bool:
    """Whether a daemon answers on the socket, within `ANSWER_TIMEOUT_S`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.connect(str(socket_path))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


def pid_of_running(pid_file: Path) -> int | None:
    """The pid in a daemon's pid file; None where that is stale: no such process, or another's."""
    pid = _read_pid(pid_file)
    if pid is None or "dockerd" not in (Path(word).name for word in _words_of(pid)[:2]):
        return None
    return pid


def is_ours(pid: int, home: Dockerd) -> bool:
    """Whether the process is the daemon that was started for `home`."""
    return home.label in _words_of(pid)


def _attempt(home: Dockerd, arguments: Sequence[str]) -> int | None:
    """Starts one daemon; its pid once it answers, or None where it did not, and is gone."""
    path = f"{os.environ.get('PATH', '')}:{programs.SYSTEM_FOLDERS}"
    with home.log.open("a") as log:
        process = subprocess.Popen(
            ["dockerd", home.label, *home.arguments, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )
    answered = False
    try:
        answered = _wait_until_answers(home.socket, lambda: process.poll() is None)
    finally:
        if not answered:
            _end(process)
    return process.pid if answered else None


def _wait_until_answers(socket_path: Path, is_running: Callable[[], bool]) -> bool:
    """Waits for a daemon; False where it ends or does not answer in time."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and is_running():
        if answers(socket_path):
            return True
        time.sleep(POLL_EVERY_S)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _words_of(pid: int) -> list[str]:
    """The command line of a process; empty where there is none, or it has ended (a zombie)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []

"""An engine of a test's own, to be stopped, killed and filled up: nothing of the machine's notices."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

START_TIMEOUT_S = 120.0
DISK_MB = 800
POLL_S = 0.1


@dataclass
class PrivateEngine:
    """A dockerd with folders, a socket and a network namespace of its own, on a small disk of its own."""

    RUNTIME: ClassVar[str] = "broken"
    """A runtime that it knows of, and that is not there."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    listener: socket.socket | None = None
    """Where it answers over TCP too, to clients that the certificates in its folder let in."""

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/sock"

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    def start(self) -> None:
        """Starts the daemon, and waits until it answers."""
        (self.folder / "pid").unlink(missing_ok=True)
        self.starts += (
            1  # what one that was killed leaves of its containerd is in its successor's way
        )
        name = f"bursar-{os.getpid()}"
        # Without a network namespace of its own it would remove the machine's docker0.
        command = ["unshare", "--net", "dockerd", f"--host={self.url}", f"--data-root={self.disk}"]
        command += [f"--exec-root={self.folder}/exec-{self.starts}", f"--pidfile={self.folder}/pid"]
        command += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        command += [
            f"--containerd-namespace={name}",
            f"--containerd-plugins-namespace={name}-plugins",
        ]
        command += [f"--config-file={self.folder}/daemon.json"]
        command += [f"--add-runtime={self.RUNTIME}={self.folder}/no-runtime"]
        given: int = subprocess.DEVNULL
        if self.listener is not None:
            # Made out here: nobody outside of its network namespace could reach one of its own.
            given = self.listener.fileno()
            command += ["--host=fd://", "--tlsverify", f"--tlscacert={self.folder}/ca.pem"]
            command += [f"--tlscert={self.folder}/server.pem", f"--tlskey={self.folder}/server.key"]
            handing_over = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0 0</dev/null'
            command = ["sh", "-c", handing_over, "sh", *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=given, stdout=log, stderr=log, start_new_session=True
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            log_text = (self.folder / "log").read_text(errors="replace")[-4000:]
            assert self.process.poll() is None, log_text
            assert time.monotonic() < deadline_s, log_text
            threading.Event().wait(POLL_S)

    def answers(self) -> bool:
        """Whether it does."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(f"{self.folder}/sock")
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                return b" 200 " in connection.recv(64)
            except OSError:
                return False

    def signal(self, number: int) -> None:
        """Sends the daemon a signal; its containers go on."""
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def end(self) -> None:
        """Ends the daemon and all that it has started."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self._left():
            os.kill(pid, signal.SIGKILL)

    def _left(self) -> Iterator[int]:
        """What goes on without a daemon: its containerd, and the shims of its containers."""
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            except OSError:
                continue
            if f"{self.folder}/exec-".encode() in words:
                yield int(entry.name)


@contextmanager
def private_engine(
    folder: Path, *, listener: socket.socket | None = None
) -> Iterator[PrivateEngine]:
    """Starts one; afterwards nothing of it is left."""
    engine = PrivateEngine(folder, listener=listener)
    engine.disk.mkdir(parents=True, exist_ok=True)
    (folder / "daemon.json").write_text("{}")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "bursar-test", str(engine.disk)]
    subprocess.run(mount, check=True)
    try:
        engine.start()
        yield engine
    finally:
        engine.end()
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in sorted((m for m in mounts if m.startswith(str(folder))), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(folder, ignore_errors=True)

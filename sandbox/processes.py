"""The same runner as a plain process, for our own synthetic programs where no engine can be had."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from sandbox.channel import RunnerChannel, SocketStream, runner_command
from sandbox.contract import SandboxBox
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from sandbox.program import Program, RunResult

FIRST_UID = 1_900_000_000
"""Where we are root, programs run as uids from here on, which no account has."""
END_TIMEOUT_S = 10.0
"""For a runner to end after its stream was closed; then it is killed."""

_log = logging.getLogger(__name__)


class ProcessSandbox:
    """Runs trusted programs as plain processes: rlimits, a folder and, for root, a uid of their own.

    There is no wall around them: they see the host's files, processes and network. It refuses
    every program that is not `trusted`, and there is no switch to change that.
    """

    def __init__(self) -> None:
        self._boxes: set[ProcessBox] = set()
        self._lock = threading.Lock()
        _log.warning(
            "NO CONTAINERS: no engine can be reached, so programs run as plain processes of this "
            "host. Only the synthetic completions of a rehearsal are run this way; recorded "
            "completions and those of real models are refused."
        )

    def prepare(self, *, study: str, limits: Limits, deadline_s: float) -> "ProcessBox":
        """Begins to start a runner; see `Sandbox.prepare`."""
        del study  # a process needs no label: it ends with its worker
        box = ProcessBox(limits, deadline_s)
        with self._lock:
            self._boxes.add(box)
        return box

    def close(self) -> None:
        """Closes the boxes that are still open."""
        with self._lock:
            boxes, self._boxes = self._boxes, set()
        for box in boxes:
            box.close()


class ProcessBox(SandboxBox):
    """One runner as a child of this process. Used by one thread at a time."""

    def __init__(self, limits: Limits, deadline_s: float) -> None:
        self._scratch = tempfile.mkdtemp(prefix="bursar-")
        os.chmod(self._scratch, 0o711)  # noqa: S103 - a program's uid must reach its own folder
        ours, theirs = socket.socketpair()
        self._channel = RunnerChannel(SocketStream(ours), limits)
        arguments = runner_command(
            limits, deadline_s=deadline_s, scratch=self._scratch, first_uid=_first_uid()
        )
        try:
            self._runner = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, *arguments],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,
            )
        except OSError as exc:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise SandboxError(f"cannot start a runner: {exc}") from exc
        finally:
            theirs.close()
        self._ready = self._closed = False

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        """Runs each program by itself, in order; see `SandboxBox.run`.

        Raises:
            SandboxError: also where a program is not trusted; then none is run.
        """
        if self._closed:
            raise SandboxError("the box is closed", "Prepare another.")
        if not all(program.trusted for program in programs):
            raise SandboxError(
                "a program that is not ours may not run as a plain process",
                "Only a rehearsal's synthetic completions may. For all others, start a container "
                "engine and let DOCKER_HOST name it.",
            )
        if not self._ready:
            self._channel.expect_ready()
            self._ready = True
        return self._channel.run(programs)

    def close(self) -> None:
        """Ends the runner and removes its folder."""
        if self._closed:
            return
        self._closed = True
        self._channel.close()
        try:
            self._runner.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._runner.kill()
            self._runner.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _first_uid() -> int | None:
    """The first uid for programs: None where we cannot change it, or it could not read Python's library."""
    if os.geteuid() != 0:
        return None
    library = Path(os.__file__).resolve().parent
    reachable = all(
        folder.stat().st_mode & 0o005 == 0o005 for folder in (library, *library.parents)
    )
    return FIRST_UID if reachable else None

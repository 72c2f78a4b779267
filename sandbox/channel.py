"""The worker's end of the talk with a runner, the same over a container's attached streams and a socket."""

import json
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from sandbox.errors import SandboxError
from sandbox.limits import Limits
from sandbox.program import Exchange, Outcome, Program, RunResult

TEXTS = ("plain", "judging", "runner")
"""What a runner consists of, in the order in which they need each other; sent as text."""
START_TIMEOUT_S = 30.0
"""For the first word of a runner: a start takes a fifth of a second, but starts queue."""
GRACE_S = 10.0
"""For an answer, beyond the longest that the runner itself lets a program take."""
WALL_FACTOR = 5
"""How many timeouts that is: the runner's clock stands still while a program waits for a CPU."""
AHEAD_BYTES = 1 << 14
"""A job up to here is sent while the one before it runs: it fits into the pipe, so nobody is kept."""
ANSWER_BYTES = 1 << 20
"""No answer is as long; a longer one means that the stream is broken."""
_HEADER = struct.Struct(">I")


class Stream(Protocol):
    """Bytes in both directions."""

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        ...

    def receive(self, count: int, timeout_s: float) -> bytes:
        """Reads exactly count bytes."""
        ...

    def complaint(self) -> str:
        """What the other side said on its standard error."""
        ...

    def close(self) -> None:
        """Hangs up; the runner takes it as the end."""
        ...


class SocketStream:
    """A plain socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        self._socket.sendall(data)

    def receive(self, count: int, timeout_s: float) -> bytes:
        """Reads exactly count bytes.

        Raises:
            TimeoutError: they did not come in time.
            EOFError: the other side has gone.
            OSError: the connection broke.
        """
        deadline, data = time.monotonic() + timeout_s, bytearray()
        while len(data) < count:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            chunk = self._socket.recv(min(count - len(data), 1 << 16))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)

    def complaint(self) -> str:
        """Nothing: there is no standard error here."""
        return ""

    def close(self) -> None:
        """Hangs up; the runner takes it as the end."""
        self._socket.close()


class AttachedStream(SocketStream):
    """A container's attached streams: standard output and error come in marked pieces."""

    _MARK = struct.Struct(">BxxxI")
    _STDERR = 2
    _COMPLAINT_BYTES = 2000

    def __init__(self, attached: Any) -> None:
        super().__init__(getattr(attached, "_sock", attached))
        self._attached = attached
        self._output, self._complaint = bytearray(), bytearray()

    def receive(self, count: int, timeout_s: float) -> bytes:
        """Reads exactly count bytes of standard output; raises as `SocketStream.receive` does."""
        deadline = time.monotonic() + timeout_s
        while len(self._output) < count:
            mark = super().receive(self._MARK.size, deadline - time.monotonic())
            stream, length = self._MARK.unpack(mark)
            piece = super().receive(length, deadline - time.monotonic())
            if stream == self._STDERR:
                self._complaint += piece[: self._COMPLAINT_BYTES - len(self._complaint)]
            else:
                self._output += piece
        data = bytes(self._output[:count])
        del self._output[:count]
        return data

    def complaint(self) -> str:
        """What the container said on standard error: the runner says nothing, its interpreter may."""
        return self._complaint.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Hangs up, whoever still holds the socket: docker-py's response does, where there is TLS."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._attached.close()
        super().close()
        with suppress(AttributeError, OSError, ValueError):  # there is none, or it is closed by now
            self._attached._response.close()


class RunnerChannel:
    """One runner: told what to run, asked what became of it."""

    def __init__(self, stream: Stream, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._together: set[str] = set()  # checks that can't be run apart from their program
        self._ahead: bytes | None = None  # the job that was sent before its time
        self._early: tuple[bytes, dict[str, Any]] | None = None  # one that is answered already

    def expect_ready(self) -> None:
        """Waits until the runner has said that it is warm.

        Raises:
            SandboxError: it did not.
        """
        if "ready" not in self._receive(START_TIMEOUT_S):
            raise SandboxError("the runner's first word was not that it is ready")

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        """Runs the programs one by one.

        Raises:
            SandboxError: the runner is gone, late, or does not make sense.
        """
        return [
            self._run_one(program, programs[place] if place < len(programs) else None)
            for place, program in enumerate(programs, start=1)
        ]

    def _is_too_long(self, program: Program) -> bool:
        exchanged = sum(len(each.stdin) + len(each.stdout) for each in program.exchanges)
        long = len(program.source) + len(program.check) + exchanged
        return long > self._limits.program_kb * 1024

    def _run_one(self, program: Program, following: Program | None) -> RunResult:
        if self._is_too_long(program):
            return RunResult(
                outcome=Outcome.failed,
                exception="ProgramTooLong",
                detail=f"not run: over {self._limits.program_kb} KiB",
            )
        results = [self._exchange(program, each) for each in program.exchanges[:1]]
        for each in program.exchanges[1:]:
            if results[-1].passed:
                results.append(self._exchange(program, each))
        if not results:
            return self._check(program, following)
        return replace(results[-1], duration_s=sum(result.duration_s for result in results))

    def _check(self, program: Program, following: Program | None) -> RunResult:
        """Has the check run apart from the program, where that can be done."""
        ahead = None
        if following is not None and not following.exchanges and not self._is_too_long(following):
            ahead = self._job(following)
        if program.check not in self._together:
            answer = self._ask(self._job(program), ahead)
            if answer.get("outcome") != "together":
                return self._result({**answer, "apart": True})
            self._together.add(program.check)
        return self._result(self._ask(self._job(program)))

    def _job(self, program: Program) -> dict[str, Any]:
        job: dict[str, Any] = {"source": program.source, "check": program.check}
        return {**job, "together": True} if program.check in self._together else job

    def _exchange(self, program: Program, exchange: Exchange) -> RunResult:
        job = {"source": program.source, "stdin": exchange.stdin, "stdout": exchange.stdout}
        return self._result({**self._ask(job), "apart": True})

    def _ask(self, job: dict[str, Any], ahead: dict[str, Any] | None = None) -> dict[str, Any]:
        """Has a job done; the one `ahead`, which mostly is asked next, is sent while it runs."""
        body = json.dumps(job).encode()
        early, self._early = self._early, None
        if early is not None and early[0] == body:
            return early[1]
        if self._ahead is not None and self._ahead != body:  # another has come between
            self._early, self._ahead = (self._ahead, self._answer()), None
        if self._ahead is None:
            self._send(body)
        self._ahead = None
        if ahead is not None and self._early is None:
            later = json.dumps(ahead).encode()
            if len(later) <= AHEAD_BYTES:
                self._send(later)
                self._ahead = later
        return self._answer()

    def _send(self, body: bytes) -> None:
        try:
            self._stream.send(_HEADER.pack(len(body)) + body)
        except OSError as exc:
            raise SandboxError(f"the runner is gone: {exc or type(exc).__name__}") from exc

    def _answer(self) -> dict[str, Any]:
        return self._receive(self._limits.timeout_s * WALL_FACTOR + GRACE_S)

    def _result(self, answer: dict[str, Any]) -> RunResult:
        try:
            return RunResult.from_dict(answer)
        except (KeyError, TypeError, ValueError) as exc:
            raise SandboxError(f"the runner's answer makes no sense: {exc}") from exc

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        try:
            length = _HEADER.unpack(self._stream.receive(_HEADER.size, timeout_s))[0]
            if length > ANSWER_BYTES:
                raise SandboxError(f"the runner announced an answer of {length} bytes")
            answer = json.loads(self._stream.receive(length, timeout_s))
        except TimeoutError as exc:
            raise SandboxError(f"the runner did not answer within {timeout_s:g} s") from exc
        except EOFError as exc:
            reason = self._stream.complaint() or "it said nothing"
            raise SandboxError(f"the runner ended before it answered ({reason})") from exc
        except (OSError, ValueError) as exc:
            raise SandboxError(f"the connection to the runner broke: {exc}") from exc
        if not isinstance(answer, dict) or "fault" in answer:
            raise SandboxError(str(answer["fault"] if isinstance(answer, dict) else answer))
        return answer

    def close(self) -> None:
        """Hangs up."""
        self._stream.close()


def runner_command(
    limits: Limits, *, deadline_s: float, scratch: str, first_uid: int | None
) -> list[str]:
    """Returns the arguments with which a Python interpreter becomes a runner."""
    settings = {
        **asdict(limits),
        "deadline_s": deadline_s,
        "scratch": scratch,
        "first_uid": first_uid,
    }
    flags = ["-I", "-B", "-X", "utf8"]
    return [*flags, "-c", runner_text(), json.dumps(settings)]


@cache
def runner_text() -> str:
    """One text that makes a package of our modules where there is none, and begins the runner."""
    folder = Path(__file__).parent
    texts = {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in TEXTS}
    return f"""import sys
package = sys.modules["sandbox"] = type(sys)("sandbox")
for name, text in {texts!r}.items():
    module = sys.modules["sandbox." + name] = type(sys)("sandbox." + name)
    setattr(package, name, module)
    exec(compile(text, f"<{{name}}>", "exec"), vars(module))
del text
package.runner.main()
"""

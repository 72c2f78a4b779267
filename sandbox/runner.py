"""The runner: the one process of a box that is ours. It has programs judged that it does not trust.

It stands alone (with `plain` and `judging`; the standard library, Python 3.10 or later), because it
is sent as text into a container that has nothing of ours. Jobs come on standard input and answers go
to standard output, both moved out of the programs' reach before the first of them starts. For each
job it forks a steward, which alone reads it, and ends with it: whatever is forked for the next job has
nothing of this one in its memory, not even in what was freed. The steward forks a child ahead of the
job, confined to its own uid, folder and limits. The child is given the source; then it depends on the test:

- a check is run by a judge, forked ahead with the child under another uid, which calls the child's functions;
- a check that can't be run apart goes to the child itself, with a nonce that it says back at the end;
- of an exchange the child gets the input alone, and the steward compares its output.

Then the runner kills every other process in the box, wipes every file, and hands the answer on.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import time
from contextlib import suppress
from typing import Any

from sandbox import judging

HEADER = struct.Struct(">I")
PACKET_BYTES = 32768  # the most that goes to a child at once: well within a socket's buffer
REPORT_BYTES = 8192  # the most that a child can say at once
WALL_FACTOR = 5  # however long a program waits for a CPU, it ends after this many timeouts
CONFINE_TIMEOUT_S = 10.0  # for a child to give up what it must, on a busy machine
SPARE_OUTPUT_BYTES = 1 << 16  # of an exchange, beyond twice what is expected: more is wrong anyhow
CONFINED = b"confined"
OOM_FIRST, OOM_NEXT = 1000, 900  # where memory runs out a program goes first, its judge next
UIDS = 20_000  # then they begin anew: a rootless engine has 65,536 in all
RECURSION = 3000  # HumanEval/49 tests to a depth of 1,101; the C stack holds more than this
MIB = 1 << 20
APART, TOGETHER, GONE, FAULT = 0, 1, 2, 70
"""How a steward ends: with an answer, judged apart or not; because the worker has gone; with a fault."""
WARM = (  # what programs like to import: paid for once per box
    "bisect collections collections.abc copy datetime enum fractions functools heapq itertools "
    "json math operator random re statistics string textwrap time types typing"
)


class WorkerGone(Exception):
    """Nobody waits for the answer any more."""


class Settings:
    """What the box was made for: limits, the folder for scratch, the uids for the programs."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.deadline_s: float = values["deadline_s"]
        self.timeout_s: float = values["timeout_s"]
        self.memory_mb: int = values["memory_mb"]
        self.open_files: int = values["open_files"]
        self.file_mb: int = values["file_mb"]
        self.detail_chars: int = values["detail_chars"]
        self.scratch: str = values["scratch"]
        self.first_uid: int | None = values["first_uid"]  # None: children keep the runner's uid

    def uid(self, number: int) -> int | None:
        """The uid of a program, by its number; of its judge, by 0."""
        return (
            self.first_uid and self.first_uid + (number - 1) % UIDS + 1
            if number
            else self.first_uid
        )


# The jobs' way in and the answers' way out.


def read_exactly(descriptor: int, count: int) -> bytes | None:
    """Reads count bytes, or None where the stream ends first."""
    data = bytearray()
    while len(data) < count:
        chunk = os.read(descriptor, min(count - len(data), 1 << 16))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


def read_job(descriptor: int) -> dict[str, Any] | None:
    """Reads one frame; None when the worker has closed the stream."""
    header = read_exactly(descriptor, HEADER.size)
    body = header and read_exactly(descriptor, HEADER.unpack(header)[0])
    return json.loads(body) if body else None


def answer(descriptor: int, values: dict[str, Any]) -> None:
    """Writes one frame."""
    body = json.dumps(values).encode()
    data = HEADER.pack(len(body)) + body
    while data:
        data = data[os.write(descriptor, data) :]


def hand_on(file: int, descriptor: int) -> None:
    """Sends what a file holds, which never gets into this process's memory, and empties it."""
    sent, length = 0, os.fstat(file).st_size
    while sent < length:
        sent += os.sendfile(descriptor, file, sent, length - sent)
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)


def take_streams() -> tuple[int, int]:
    """Moves the jobs and the answers away from 0 and 1, and leaves nothing there but /dev/null."""
    jobs, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    return jobs, answers


# The child: from the fork to its report.


def confine(settings: Settings, number: int, home: str, oom: int) -> None:
    """Gives up all that a program, or its judge, does not need: session, memory, descriptors, uid."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for name in (signal.SIGCHLD, signal.SIGALRM):
        signal.signal(name, signal.SIG_DFL)
    with suppress(OSError):
        file = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(file, b"%d" % oom)
        os.close(file)
    for limit, amount in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, int(settings.timeout_s * 2) + 2),  # a second belt to the clock
        (resource.RLIMIT_DATA, settings.memory_mb * MIB),
        (resource.RLIMIT_FSIZE, settings.file_mb * MIB),
        (resource.RLIMIT_NOFILE, settings.open_files),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        resource.setrlimit(limit, (amount, amount))
    # No RLIMIT_NPROC: it counts a uid over all containers of the host. The cgroup counts ours.
    uid = settings.uid(number)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.chdir(home)


def receive_text(channel: socket.socket) -> str:
    """Reads one text that the runner delivered."""
    left = HEADER.unpack(channel.recv(HEADER.size))[0]
    parts = []
    while left > 0:
        parts.append(channel.recv(PACKET_BYTES))
        left -= len(parts[-1])
    return b"".join(parts).decode("utf-8", "surrogatepass")


def execute(text: str, filename: str, namespace: dict[str, Any], run: Any = exec) -> None:
    """Runs a text in a namespace; what no file could hold is a SyntaxError, as it would be there."""
    try:
        code = compile(text, filename, "exec", dont_inherit=True, optimize=0)
    except ValueError as error:  # NUL bytes, lone surrogates
        raise SyntaxError(str(error)) from None
    run(code, namespace)


def describe(error: BaseException, name_of: Any = type.__dict__["__name__"].__get__) -> bytes:
    """Says what an exception is and where it arose; its own methods may be hostile, and fail."""
    name = name_of(type(error))
    try:
        message = f"{name}: {error}"[:2000]
    except BaseException:  # noqa: BLE001 - whatever a program's own __str__ raises
        message = name
    place, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<program>", "<check>"):
            place = f" (line {trace.tb_lineno} of {trace.tb_frame.f_code.co_filename[1:-1]})"
        trace = trace.tb_next
    return f"{name[:100]}\0{message}{place}".encode("utf-8", "replace")


def live(channel: socket.socket, wire: socket.socket) -> None:
    """Runs what the runner sends, and reports. What it calls is bound before the source can patch it."""
    say, tell, leaving = channel.send, describe, SystemExit
    answer_calls, finish = judging.answer_calls, finish_script
    builtins = sys.modules["builtins"]
    restore, pristine = vars(builtins).update, dict(vars(builtins))
    untrace = (sys.settrace, sys.setprofile)
    # Not "__main__": what a program does there when it is run is not what is judged. The runner's
    # own modules go out of its sight.
    script = channel.recv(PACKET_BYTES) == b"script"
    main = type(sys)("__main__" if script else "program")
    vars(main)["__builtins__"] = builtins
    for name in [name for name in sys.modules if name.partition(".")[0] == "sandbox"]:
        del sys.modules[name]
    sys.modules["program"] = sys.modules["__main__"] = main
    sys.argv = ["program.py"]
    if script:
        open_streams(wire)
    try:
        execute(receive_text(channel), "<program>", vars(main))
        if script:
            finish()
            return
        for switch in untrace:
            switch(None)
        restore(pristine)  # so that the check's `all` and `abs` are Python's
        say(b"ready")
        nonce = channel.recv(64)
        if nonce == b"apart":
            answer_calls(wire, vars(main), tell)
            return
        execute(receive_text(channel), "<check>", vars(main))
    except leaving as error:
        if script and error.code in (None, 0):
            finish()
            return
        say(b"left\0" + tell(error))
    except BaseException as error:  # noqa: BLE001 - whatever comes out of a program is its verdict
        say(b"failed\0" + tell(error))
    else:
        say(b"passed\0" + nonce)


def open_streams(wire: socket.socket) -> None:
    """Gives a script its input and output."""
    for descriptor in (0, 1):
        os.dup2(wire.fileno(), descriptor)
    wire.close()
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)


def finish_script() -> None:
    """Does what an interpreter does at a script's end: waits for threads, runs hooks, writes all."""
    for name, end in (("threading", "_shutdown"), ("atexit", "_run_exitfuncs")):
        if name in sys.modules:
            getattr(sys.modules[name], end)()
    sys.stdout.flush()


def describe_judged(error: BaseException) -> bytes:
    """Says what came out of a check; what arose in the program was described there."""
    if "told" in vars(error):
        return f"{type(error).__name__}\0{vars(error)['told']}".encode("utf-8", "replace")
    return describe(error)


def lines(text: bytes) -> list[bytes]:
    """A text's lines as output is compared: without spaces and empty lines at the ends."""
    return [line.rstrip() for line in text.rstrip().split(b"\n")]


class Judge:
    """A process that waits for a check, out of the reach of the program that it will judge."""

    def __init__(self, settings: Settings, wire: socket.socket) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                own, calls = os.dup(theirs.detach()), os.dup(wire.detach())
                os.dup2(own, 3, inheritable=False)
                os.dup2(calls, 4, inheritable=False)
                os.closerange(5, 1 << 20)
                channel, wire = socket.socket(fileno=3), socket.socket(fileno=4)
                try:
                    confine(settings, 0, "/", OOM_NEXT)
                except OSError as error:
                    channel.send(f"a judge could not be confined: {error}".encode())
                else:
                    channel.send(CONFINED)
                    channel.send(hold_court(channel, wire))
            finally:
                os._exit(0)
        theirs.close()


def hold_court(channel: socket.socket, wire: socket.socket) -> bytes:
    """Runs the check that comes against the program at the end of the wire; returns its word."""
    try:
        return judging.judge(wire, receive_text(channel), execute).encode()
    except SystemExit as error:
        return b"left\0" + describe_judged(error)
    except BaseException as error:  # noqa: BLE001 - it is the verdict
        return b"failed\0" + describe_judged(error)


class Child:
    """A process that waits, confined, for the program that it will be."""

    def __init__(self, settings: Settings, number: int, *, judged: bool) -> None:
        self.home = os.path.join(settings.scratch, str(number))
        self.status: int | None = None
        self.judge: Judge | None = None
        os.mkdir(self.home, 0o700)
        uid = settings.uid(number)
        if uid is not None:
            os.chown(self.home, uid, uid)
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.wire, wire = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            leave = os._exit
            try:  # the frames below are those of a runner that has not read the job yet
                own, calls = os.dup(theirs.detach()), os.dup(wire.detach())
                os.dup2(own, 3, inheritable=False)
                os.dup2(calls, 4, inheritable=False)
                os.closerange(5, 1 << 20)
                channel, wire = socket.socket(fileno=3), socket.socket(fileno=4)
                try:
                    confine(settings, number, self.home, OOM_FIRST)
                    channel.send(CONFINED)
                except OSError as error:
                    channel.send(f"a program could not be confined: {error}".encode())
                else:
                    live(channel, wire)
            finally:
                leave(0)
        theirs.close()
        wire.close()
        if judged:
            self.judge = Judge(settings, self.wire)

    @property
    def pids(self) -> list[int]:
        """Its process, and its judge's where there is one."""
        return [self.pid, *([self.judge.pid] if self.judge else [])]

    @property
    def ended(self) -> bool:
        """Whether nothing more can be heard of it, or of its judge."""
        judge = self.judge
        return self.status is not None or (judge is not None and judge.status is not None)

    def end(self) -> None:
        """Ends them and their groups, where there is no container to be emptied."""
        for pid in self.pids:
            for kill in (os.killpg, os.kill):
                with suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def dismiss_judge(self) -> None:
        """Ends the judge, which has nothing to do."""
        if self.judge is not None:
            os.kill(self.judge.pid, signal.SIGKILL)
            os.waitpid(self.judge.pid, 0)
            self.judge.channel.close()
            self.judge = None

    def expect_confined(self) -> None:
        """Waits until it, and its judge, have given up what they must, before there is a program."""
        for channel in (self.channel, *([self.judge.channel] if self.judge else [])):
            channel.settimeout(CONFINE_TIMEOUT_S)
            said = channel.recv(REPORT_BYTES)
            if said != CONFINED:
                raise RuntimeError(said.decode("utf-8", "replace") or "a process ended early")


# The runner's side: deliver, listen, judge, clean up.


def run_delay_s(pid: int) -> float:
    """How long a process was ready to run and waited for a CPU; 0 where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def processes() -> int:
    """How many processes can be seen."""
    return sum(name.isdecimal() for name in os.listdir("/proc"))


class Clock:
    """A program's time, which stands still while it, or its judge, waits for a CPU that others use."""

    def __init__(self, pids: list[int], timeout_s: float, alone: bool) -> None:
        self.pids, self.timeout_s, self.alone = pids, timeout_s, alone
        self.delay_s, self.start = sum(map(run_delay_s, pids)), time.monotonic()

    def watch(self, pid: int) -> None:
        """Counts another process of ours in; it has just begun."""
        self.pids.append(pid)

    def elapsed_s(self) -> float:
        """Seconds of the wall's clock."""
        return time.monotonic() - self.start

    def left_s(self) -> float:
        """Seconds that the program still has."""
        left_s = self.timeout_s - self.elapsed_s()
        if left_s > 0 or (self.alone and processes() > 2 + len(self.pids)):
            return max(0.0, left_s)  # what its own children take is its own affair
        wall_left_s = left_s + self.timeout_s * (WALL_FACTOR - 1)
        delay_s = sum(map(run_delay_s, self.pids)) - self.delay_s
        return max(0.0, min(left_s + delay_s, wall_left_s))


def oom_kills() -> int:
    """How many processes of this container the kernel killed for memory, under either cgroup."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        with suppress(OSError), open(path) as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


class Steward:
    """Sees to one job, and ends with it."""

    def __init__(self, settings: Settings, jobs: int, *, alone: bool, judged: bool) -> None:
        self.settings, self.jobs, self.alone = settings, jobs, alone
        self.judged = judged  # whether this job, too, will be judged apart; mostly they are
        self.wake, wake_in = os.pipe()
        for descriptor in (self.wake, wake_in):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)

    def serve(self, number: int, said: int) -> int:
        """Reads a job, judges, writes the answer into a file; returns how it ends.

        The child is forked before the job is read, so it has nothing of it in its memory.
        """
        child = None
        try:
            child = Child(self.settings, number, judged=self.judged)
            job = read_job(self.jobs)
            if not job:
                return GONE
            answer(said, self.judge(child, job))
        except WorkerGone:
            return GONE
        except Exception as error:  # noqa: BLE001 - the last word of a process that ends here
            answer(said, {"fault": f"the runner failed: {type(error).__name__}: {error}"})
            return FAULT
        finally:
            if child is not None and not self.alone:
                child.end()
        return APART if self.judged else TOGETHER

    def judge(self, child: Child, job: dict[str, Any]) -> dict[str, Any]:
        """Runs one job in a child, and says what became of it."""
        kills_before = oom_kills()
        self.judged = "check" in job and not job.get("together")
        if not self.judged:
            child.dismiss_judge()
        elif child.judge is None:
            child.judge = Judge(self.settings, child.wire)
        child.expect_confined()
        clock = Clock(child.pids, self.settings.timeout_s, self.alone)
        said = (
            self.converse(child, clock, job) if "check" in job else self.exchange(child, clock, job)
        )
        outcome, name, detail = said or self.verdict_on_end(child, kills_before)
        printable = "".join(c if c.isprintable() else " " for c in detail)
        return {
            "outcome": outcome,
            "exception": name if name and name.isidentifier() else None,
            "detail": " ".join(printable.split())[: self.settings.detail_chars],
            "duration_s": clock.elapsed_s(),
        }

    def converse(
        self, child: Child, clock: Clock, job: dict[str, Any]
    ) -> tuple[str, str | None, str] | None:
        """Has a check judge the source; returns what is said, None if the child ended without a word."""
        report = None
        with suppress(OSError):  # the child has gone, or closed its end, or does not listen
            child.channel.send(b"functions")
            self.deliver(child.channel, clock, job["source"])
            words = (b"ready", b"failed", b"left")
            report = self.hear(child, clock, [(child.channel, words)], its_end=True)
            if report is not None and report[0] == b"ready":
                report = None  # it may be gone already
                child.channel.settimeout(max(clock.left_s(), 0.001))
                judged = self.judge_together if job.get("together") else self.judge_apart
                report = judged(child, clock, job["check"])
        if report is None:
            return self.await_end(child, clock)
        if report[0] in (b"passed", b"together"):
            return report[0].decode(), None, ""
        return self.told(report)

    def judge_apart(self, child: Child, clock: Clock, check: str) -> list[bytes] | None:
        """Has the judge run the check; returns its word, or the child's last."""
        judge = child.judge
        if judge is None:
            raise RuntimeError("there is no judge")
        child.wire.close()  # so that the child, too, sees the judge's end
        child.channel.send(b"apart")
        with suppress(OSError):  # the judge has gone: it is heard of below
            self.deliver(judge.channel, clock, check)
        words = (b"passed", b"failed", b"left", b"together")
        report = self.hear(
            child, clock, [(judge.channel, words), (child.channel, (b"failed", b"left"))]
        )
        if report is None and judge.status is not None and os.WIFSIGNALED(judge.status):
            child.status = judge.status  # what the program had it compare was more than it may take
        return report

    def judge_together(self, child: Child, clock: Clock, check: str) -> list[bytes] | None:
        """Has the child run the check itself; a pass is its nonce said back."""
        nonce = os.urandom(16).hex().encode()
        child.channel.send(nonce)
        self.deliver(child.channel, clock, check)
        words = (b"passed", b"failed", b"left")
        return self.hear(child, clock, [(child.channel, words)], nonce)

    def told(self, report: list[bytes]) -> tuple[str, str | None, str]:
        """Reads what came out of a program or a check."""
        name, detail = (part.decode("utf-8", "replace") for part in [*report, b"", b""][1:3])
        return "left_early" if report[0] == b"left" else "failed", name, detail

    def await_end(self, child: Child, clock: Clock) -> tuple[str, str | None, str] | None:
        """Waits until a child that says nothing has ended, or its time."""
        self.hear(child, clock, [], its_end=True)
        if child.status is not None:
            return None
        return "timed_out", None, f"over {self.settings.timeout_s:g} s"

    def exchange(
        self, child: Child, clock: Clock, job: dict[str, Any]
    ) -> tuple[str, str | None, str] | None:
        """Gives the child's program its input, and compares its output."""
        expected = lines(job["stdout"].encode("utf-8", "surrogatepass"))
        most = 2 * len(job["stdout"].encode("utf-8", "surrogatepass")) + SPARE_OUTPUT_BYTES
        with suppress(OSError):
            child.channel.send(b"script")
            self.deliver(child.channel, clock, job["source"])
        data = memoryview(job["stdin"].encode("utf-8", "surrogatepass"))
        output, reading = bytearray(), True
        child.wire.setblocking(False)
        child.channel.setblocking(False)
        poll = select.poll()
        poll.register(self.wake, select.POLLIN)
        poll.register(self.jobs, select.POLLRDHUP)  # the next job may be there; only an end counts
        while True:
            ended = child.status is not None or clock.left_s() <= 0
            data = self.feed(child.wire, data)
            while reading and len(output) <= most:
                try:
                    chunk = child.wire.recv(PACKET_BYTES)
                except BlockingIOError:
                    break
                except OSError:
                    chunk = b""
                output += chunk
                reading = bool(chunk)
            if len(output) > most:
                return "failed", "AssertionError", "it prints more than is expected"
            if ended:
                break
            with suppress(KeyError):
                poll.unregister(child.wire.fileno())
            if reading:
                poll.register(child.wire, select.POLLIN | (select.POLLOUT if data else 0))
            self.sleep(poll, child, clock)
        with suppress(OSError):
            while packet := child.channel.recv(REPORT_BYTES):
                report = packet.split(b"\0")
                if report[0] in (b"failed", b"left"):
                    return self.told(report)
                if clock.left_s() <= 0:
                    break
        if child.status is None:
            return self.await_end(child, clock)
        if child.status != 0:
            return None
        if lines(bytes(output)) == expected:
            return "passed", None, ""
        return "failed", "AssertionError", "it prints something else than is expected"

    def deliver(self, channel: socket.socket, clock: Clock, text: str) -> None:
        """Sends a text to a process that may not want it, within its time."""
        data = text.encode("utf-8", "surrogatepass")
        channel.send(HEADER.pack(len(data)))
        for start in range(0, len(data), PACKET_BYTES):
            channel.settimeout(max(clock.left_s(), 0.001))
            channel.send(data[start : start + PACKET_BYTES])

    def feed(self, wire: socket.socket, data: memoryview) -> memoryview:
        """Gives a script what it takes of its input, and hangs up behind it; returns the rest."""
        try:
            while data:
                data = data[wire.send(data) :]
            wire.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return data
        except OSError:  # it does not listen, or has its end already
            pass
        return data[:0]

    def hear(
        self,
        child: Child,
        clock: Clock,
        sources: list[tuple[socket.socket, tuple[bytes, ...]]],
        nonce: bytes | None = None,
        *,
        its_end: bool = False,
    ) -> list[bytes] | None:
        """Waits for a wanted word; None at the end: the child's or (unless `its_end`) its judge's."""
        poll, still_open = select.poll(), list(sources)
        passed = [b"passed"] if nonce is None else [b"passed", nonce]
        poll.register(self.wake, select.POLLIN)
        poll.register(self.jobs, select.POLLRDHUP)  # the next job may be there; only an end counts
        for channel, _ in sources:
            channel.setblocking(False)
            poll.register(channel, select.POLLIN)
        while True:
            ended = (child.status is not None if its_end else child.ended) or clock.left_s() <= 0
            for source in list(still_open):
                channel, wanted = source
                while source in still_open:
                    try:
                        packet = channel.recv(REPORT_BYTES)
                    except BlockingIOError:
                        break
                    except OSError:
                        packet = b""
                    report = packet.split(b"\0")
                    if report[0] in wanted and (report[0] != b"passed" or report == passed):
                        return report
                    if not packet:
                        still_open.remove(source)
                        poll.unregister(channel)
                    if clock.left_s() <= 0:
                        break
            if ended:
                return None
            self.sleep(poll, child, clock)

    def sleep(self, poll: select.poll, child: Child, clock: Clock) -> None:
        """Waits until something happens, or the child's time is up."""
        ready = dict(poll.poll(clock.left_s() * 1000 + 1))
        if self.jobs in ready:
            raise WorkerGone
        if self.wake in ready:
            os.read(self.wake, 512)
            self.reap(child)

    def reap(self, child: Child) -> None:
        """Takes note of the child's end, and buries what others left."""
        pid = -1
        with suppress(ChildProcessError):
            while pid != 0:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == child.pid:
                    child.status = status
                elif child.judge is not None and pid == child.judge.pid:
                    child.judge.status = status

    def verdict_on_end(self, child: Child, kills_before: int) -> tuple[str, None, str]:
        """What the exit status says of a child that itself said nothing."""
        status = child.status or 0
        if os.WIFEXITED(status):
            return (
                "left_early",
                None,
                f"exit code {os.WEXITSTATUS(status)} before the check returned",
            )
        number = os.WTERMSIG(status)
        if number == signal.SIGKILL and oom_kills() > kills_before:
            return "oom_killed", None, "over the memory limit"
        if number == signal.SIGXCPU:
            return "timed_out", None, "over the CPU time limit"
        return "killed", None, f"killed by signal {number} ({signal.strsignal(number)})"


def wipe(folder: str) -> None:
    """Empties a folder, however deep, whoever owns what is in it: it is flattened, not walked."""
    token, count = os.urandom(8).hex(), 0

    def own(path: str) -> None:
        os.chown(path, os.getuid(), os.getgid())  # its owner needs no further capability
        os.chmod(path, 0o700)

    while names := os.listdir(folder):
        for path in (os.path.join(folder, name) for name in names):
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
                continue
            own(path)
            for below in (os.path.join(path, name) for name in os.listdir(path)):
                if not stat.S_ISDIR(os.lstat(below).st_mode):
                    os.unlink(below)
                    continue
                own(below)
                count += 1
                os.rename(below, os.path.join(folder, f"{token}-{count}"))
            os.rmdir(path)


def serve(settings: Settings, jobs: int, answers: int) -> int:
    """Has one steward after another see to a job, and cleans up behind each; returns the last one's end."""
    alone = (
        os.getpid() == 1
    )  # in a container: every other process here is a program's, or its steward's
    said, end, number = os.memfd_create("answer"), APART, 0
    while end in (APART, TOGETHER):
        number, last = number + 1, end
        deadline_s, _ = signal.getitimer(signal.ITIMER_REAL)
        pid = os.fork()
        if pid == 0:
            end = FAULT
            try:
                signal.setitimer(signal.ITIMER_REAL, deadline_s)  # it is not inherited
                os.close(answers)
                steward = Steward(settings, jobs, alone=alone, judged=last == APART)
                end = steward.serve(number, said)
            finally:
                os._exit(end)
        end = await_end(pid)
        clean_up(settings, alone)
        hand_on(said, answers)
    return end


def await_end(pid: int) -> int:
    """Waits for a process, and buries what others left; returns its exit code, as a shell says it."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def clean_up(settings: Settings, alone: bool) -> None:
    """Leaves no process and no file of a program behind."""
    if alone:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # everything in the container but the caller
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
    wipe(settings.scratch)


def main() -> None:
    """Makes itself warm, says that it is ready, and serves."""
    settings = Settings(json.loads(sys.argv[1]))
    jobs, answers = take_streams()
    os.environ.clear()
    signal.signal(signal.SIGALRM, lambda *_: os._exit(75))
    signal.setitimer(signal.ITIMER_REAL, settings.deadline_s)
    try:
        for name in WARM.split():
            __import__(name)
        sys.setrecursionlimit(RECURSION)
        gc.freeze()  # what is the runner's is no part of gc.get_objects()
        answer(answers, {"ready": sys.version.split()[0]})
        end = serve(settings, jobs, answers)
    except Exception as error:  # noqa: BLE001 - the last word of a process that ends here
        answer(answers, {"fault": f"the runner failed: {type(error).__name__}: {error}"})
        end = FAULT
    os._exit(0 if end == GONE else end)


if __name__ == "__main__":
    main()

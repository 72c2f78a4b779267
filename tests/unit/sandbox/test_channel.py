"""The worker's end of the talk, against a runner that breaks its word in every way."""

import json
import socket
import struct
from collections.abc import Iterator

import pytest

from sandbox import Limits, Program, SandboxError
from sandbox.channel import AttachedStream, RunnerChannel, SocketStream

PROGRAM = Program(source="def f(): pass", check="f()")
PASSED = {"outcome": "passed", "exception": None, "detail": "", "duration_s": 0.5}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def frame(values: object) -> bytes:
    body = json.dumps(values).encode()
    return struct.pack(">I", len(body)) + body


def marked(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(data)) + data


def test_a_result_is_what_the_runner_answers(pair):
    ours, theirs = pair
    theirs.sendall(frame(PASSED))
    (result,) = RunnerChannel(SocketStream(ours), Limits()).run([PROGRAM])
    assert result.passed
    assert result.duration_s == 0.5
    length = struct.unpack(">I", theirs.recv(4))[0]
    assert json.loads(theirs.recv(length)) == {"source": "def f(): pass", "check": "f()"}


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (frame({"fault": "the disk is full"}), "the disk is full"),
        (frame({"outcome": "splendid"}), "makes no sense"),
        (frame({"passed": True}), "makes no sense"),
        (frame([1]), r"\[1\]"),
        (struct.pack(">I", 3) + b"{{{", "broke"),
        (struct.pack(">I", 1 << 31), "2147483648 bytes"),
        (b"\0", "ended before it answered"),
        (b"", "ended before it answered"),
    ],
)
def test_an_answer_that_is_none_is_a_fault_and_not_a_verdict(pair, said, complaint):
    ours, theirs = pair
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(SandboxError, match=complaint):
        RunnerChannel(SocketStream(ours), Limits()).run([PROGRAM])


def test_a_runner_that_is_gone_is_a_fault(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(SandboxError, match=r"gone|ended|broke"):
        RunnerChannel(SocketStream(ours), Limits()).run([PROGRAM])


def test_a_first_word_other_than_ready_is_a_fault(pair):
    ours, theirs = pair
    theirs.sendall(frame(PASSED))
    with pytest.raises(SandboxError, match="first word"):
        RunnerChannel(SocketStream(ours), Limits()).expect_ready()


def test_too_long_a_program_fails_without_being_sent(pair):
    ours, theirs = pair
    long = Program(source="#" * 2000, check="")
    (result,) = RunnerChannel(SocketStream(ours), Limits(program_kb=1)).run([long])
    assert result.verdict == "fail:ProgramTooLong"
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_a_container_s_output_is_put_together_from_its_pieces(pair):
    ours, theirs = pair
    answer = frame(PASSED)
    for piece in (answer[:2], answer[2:9], answer[9:]):
        theirs.sendall(marked(2, b"noise") + marked(1, piece))
    stream = AttachedStream(ours)
    assert RunnerChannel(stream, Limits()).run([PROGRAM])[0].passed
    assert stream.complaint() == "noise" * 3


def test_what_an_interpreter_said_before_it_ended_is_in_the_error(pair):
    ours, theirs = pair
    theirs.sendall(marked(2, b"python3: no module named encodings"))
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(SandboxError, match="no module named encodings"):
        RunnerChannel(AttachedStream(ours), Limits()).expect_ready()


def test_a_sandbox_error_says_what_to_do_next():
    error = SandboxError("the moon is full", "Wait for the new one.")
    assert str(error) == (
        "The sandbox could not run the programs: the moon is full. Wait for the new one."
    )
    assert (error.cause, error.remedy) == ("the moon is full", "Wait for the new one.")


def heard(stream: socket.socket) -> dict[str, object]:
    length = struct.unpack(">I", stream.recv(4, socket.MSG_WAITALL))[0]
    job: dict[str, object] = json.loads(stream.recv(length, socket.MSG_WAITALL))
    return job


def test_the_next_job_is_sent_before_the_answer_to_the_last(pair):
    ours, theirs = pair
    second = Program(source="def g(): pass", check="g()")
    theirs.sendall(frame(PASSED) + frame({**PASSED, "outcome": "failed"}))
    channel = RunnerChannel(SocketStream(ours), Limits())
    assert [r.passed for r in channel.run([PROGRAM, second])] == [True, False]
    assert [heard(theirs)["source"] for _ in range(2)] == [PROGRAM.source, second.source]


def test_each_answer_finds_its_program_where_a_check_can_t_be_run_apart(pair):
    ours, theirs = pair
    sources = ["def f(): 1", "def f(): 2", "def f(): 3"]
    programs = [Program(source=source, check="f()") for source in sources]
    together = {"outcome": "together"}
    said = [together, together, *[{**PASSED, "detail": f"{n}"} for n in (1, 2, 3)]]
    theirs.sendall(b"".join(map(frame, said)))
    results = RunnerChannel(SocketStream(ours), Limits()).run(programs)
    assert [(r.detail, r.apart) for r in results] == [("1", False), ("2", False), ("3", False)]
    asked = [heard(theirs) for _ in said]
    assert [job["source"] for job in asked[2:]] == sources
    assert all(job["together"] for job in asked[2:])


def test_an_answer_that_came_early_is_kept_for_its_program(pair):
    ours, theirs = pair
    other = Program(source="def g(): 2", check="g()")
    said = [{"outcome": "together"}, {**PASSED, "detail": "g"}, {**PASSED, "detail": "f"}]
    theirs.sendall(b"".join(map(frame, said)))
    first, second = RunnerChannel(SocketStream(ours), Limits()).run([PROGRAM, other])
    assert (first.detail, first.apart) == ("f", False)
    assert (second.detail, second.apart) == ("g", True)

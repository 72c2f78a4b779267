"""Whatever bytes an endpoint sends, and however slowly: a named outcome, in bounded time and memory."""

import gzip
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.spec import EndpointSpec
from workers.failures import CallFailed, InDoubt, NotBilled, RateLimited, Unavailable
from workers.llm import ANSWER_BYTES_MAX, Answer, Endpoint

from .wire import Raw, Send, raw_server

RIGHT: Final = json.dumps(
    {
        "model": "m",
        "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
).encode()
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GZIP: Final = OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
CHUNKED: Final = OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
TIMEOUT_S: Final = 0.5
MEMORY_MB: Final = 1000
"""Above the 64 MiB that an answer may have, four times over, and what a worker takes besides."""


@pytest.fixture(scope="module")
def server() -> Iterator[Raw]:
    with raw_server() as running:
        yield running


@pytest.fixture(scope="module")
def patient(server: Raw) -> Iterator[Endpoint]:
    """An endpoint for what ends by itself."""
    opened = Endpoint.open(EndpointSpec(timeout_s=60.0), base_url=server.base_url, key="k")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def hasty(server: Raw) -> Iterator[Endpoint]:
    """An endpoint for what never does."""
    opened = Endpoint.open(EndpointSpec(timeout_s=TIMEOUT_S), base_url=server.base_url, key="k")
    yield opened
    opened.close()


def asked(endpoint: Endpoint) -> Answer | CallFailed:
    try:
        return endpoint.call("hello", model="m", params={"max_tokens": 5}, n=1)
    except CallFailed as failure:
        return failure


def chunks(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)


@given(st.lists(st.binary(max_size=40), max_size=8), st.binary(max_size=40))
def test_chunks_of_garbage_or_garbage_for_chunks(
    server: Raw, patient: Endpoint, pieces: list[bytes], tail: bytes
) -> None:
    body = CHUNKED + chunks(pieces) + tail
    server.answer = lambda send: send(body)
    assert isinstance(asked(patient), Answer | InDoubt)


@given(st.data())
def test_an_answer_cut_into_chunks_is_the_answer(
    server: Raw, patient: Endpoint, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(RIGHT) - 1), max_size=20)))
    pieces = [RIGHT[a:b] for a, b in zip([0, *cuts], [*cuts, len(RIGHT)], strict=True)]
    server.answer = lambda send: send(CHUNKED + chunks(pieces) + b"0\r\n\r\n")
    assert isinstance(asked(patient), Answer)


@given(st.data())
def test_broken_gzip_is_in_doubt_whole_gzip_an_answer(
    server: Raw, patient: Endpoint, data: st.DataObject
) -> None:
    body = bytearray(gzip.compress(RIGHT, mtime=0))
    server.answer = lambda send: send(GZIP + body)
    assert isinstance(asked(patient), Answer)
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(1, len(body))) :]
    assert isinstance(asked(patient), Answer | InDoubt)


@given(
    st.sampled_from([400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 529]),
    st.sampled_from(["gzip", "deflate", "gzip, gzip", "br", "zstd", "nonsense", "identity"]),
    st.binary(max_size=60),
)
def test_an_error_in_a_broken_encoding_is_what_its_status_says(
    server: Raw, patient: Endpoint, status: int, encoding: str, body: bytes
) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    server.answer = lambda send: send(head.encode() + body)
    failure = asked(patient)
    assert isinstance(failure, InDoubt if status == 408 or status >= 500 else NotBilled), failure


DRIPPING: Final[dict[str, tuple[bytes, bytes]]] = {
    "an answer": (OK + b"\r\n" + b'{"choices": [', b" "),
    "an answer in chunks": (CHUNKED, b"1\r\n \r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a server error": (b"HTTP/1.1 500 X\r\nContent-Length: 9999\r\n\r\n", b" "),
    "spaces within gzip": (GZIP + gzip.compress(b" " * 100)[:20], b"\x00"),
}


@pytest.mark.parametrize("what", DRIPPING)
def test_what_drips_for_ever_ends_with_the_calls_timeout(
    what: str, server: Raw, hasty: Endpoint
) -> None:
    """Each byte comes in time, the last one never: without a bound on the whole the test would hang."""
    head, piece = DRIPPING[what]

    def answer(send: Send) -> None:
        send(head)
        server.drip(send, piece, every_s=TIMEOUT_S / 20)

    server.answer = answer
    assert isinstance(asked(hasty), InDoubt)


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (404, Unavailable)])
def test_an_error_that_drips_for_ever_is_what_its_status_says(
    status: int, kind: type[CallFailed], server: Raw, hasty: Endpoint
) -> None:
    def answer(send: Send) -> None:
        send(f"HTTP/1.1 {status} X\r\nRetry-After: 1\r\n\r\n".encode())
        server.drip(send, b" ", every_s=TIMEOUT_S / 20)

    server.answer = answer
    assert any(isinstance(asked(hasty), kind) for _ in range(20))  # a slow machine may be too slow


def test_a_call_that_was_cut_off_leaves_the_next_one_all_of_its_time(
    server: Raw, hasty: Endpoint
) -> None:
    server.answer = lambda send: server.drip(send, b"H", every_s=TIMEOUT_S / 20)
    assert isinstance(asked(hasty), InDoubt)
    server.answer = lambda send: send(OK + b"Connection: close\r\n\r\n" + RIGHT)
    assert any(isinstance(asked(hasty), Answer) for _ in range(20))  # the same


BIG: Final = 2 * 1024**3


def endless(head: bytes, block: bytes) -> Callable[[Send], None]:
    def answer(send: Send) -> None:
        send(head)
        for _ in range(BIG // len(block)):
            send(block)

    return answer


def bomb(status: int) -> Callable[[Send], None]:
    """300 MB in some hundred bytes."""
    head = f"HTTP/1.1 {status} X\r\nContent-Encoding: gzip, gzip\r\nConnection: close\r\n\r\n"
    body = gzip.compress(gzip.compress(bytes(300_000_000), 1), 9)
    return lambda send: send(head.encode() + body)


def values() -> Callable[[Send], None]:
    """Half of what an answer may have, as values that take much room once they are read."""
    body = b'{"choices": [' + b"{}," * (ANSWER_BYTES_MAX // 6)
    return lambda send: send(OK + b"Connection: close\r\n\r\n" + body)


def main() -> None:
    """In a process of its own: ask for masses, and tell the outcomes and the most memory that was held."""
    with raw_server() as server:
        endpoint = Endpoint.open(EndpointSpec(timeout_s=100.0), base_url=server.base_url, key="k")
        block = b"x" * 2**20
        for answer in (
            endless(OK + b"\r\n", block),
            endless(CHUNKED, b"100000\r\n" + block + b"\r\n"),
            endless(b"HTTP/1.1 500 X\r\n\r\n", block),
            endless(b"HTTP/1.1 200 OK\r\nX: ", block),
            bomb(200),
            bomb(503),
            values(),
        ):
            server.answer = answer
            print(type(asked(endpoint)).__name__)
        endpoint.close()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


@pytest.mark.timeout(900)
def test_no_mass_of_bytes_takes_more_than_bounded_memory(repository: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.test_endpoint_wire"],
        cwd=repository, capture_output=True, text=True, timeout=800,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    *outcomes, memory_mb = ended.stdout.split()
    assert outcomes == ["InDoubt"] * 7
    assert int(memory_mb) < MEMORY_MB


if __name__ == "__main__":
    main()

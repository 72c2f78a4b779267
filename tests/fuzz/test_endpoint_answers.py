"""Whatever an endpoint answers: a named outcome, and never one that says "not billed" of an answer."""

import json
import math
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from study.paid_calls import PaidCall
from study.spec import EndpointSpec
from workers.failures import CallFailed, InDoubt, NotBilled
from workers.llm import TOKENS_MAX, Answer, Endpoint

from .odd import mutated

KEY = "canary-1f3870be274f6c49b3e31a0c6728957f"
RIGHT: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "model": "m-2026",
    "system_fingerprint": "fp",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}},
        {"index": 1, "finish_reason": "length", "message": {"role": "assistant", "content": ""}},
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
}
ERROR: dict[str, Any] = {
    "error": {"message": f"no, {KEY}", "type": "t", "code": "c", "param": None}
}


class Server(socketserver.ThreadingTCPServer):
    """Answers every request with the status, headers and bytes that a test put here."""

    allow_reuse_address = True
    daemon_threads = True
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")


class Handler(BaseHTTPRequestHandler):
    """Reads the request, and sends the answer as it is."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Server)
        status, headers, body = self.server.answer
        self.rfile.read(int(self.headers.get("content-length", 0)))
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
        self.wfile.write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(scope="module")
def endpoint(server: Server) -> Iterator[Endpoint]:
    spec = EndpointSpec(timeout_s=5.0)
    opened = Endpoint.open(
        spec, base_url=f"http://127.0.0.1:{server.server_address[1]}/v1", key=KEY
    )
    yield opened
    opened.close()


def asked(endpoint: Endpoint) -> Answer | CallFailed:
    try:
        answer = endpoint.call("hello", model="m", params={"max_tokens": 5}, n=2)
    except CallFailed as failure:
        told: CallFailed = failure
    else:
        return checked(answer)
    assert KEY not in str(told)
    assert len(str(told)) < 1000
    return told


def checked(answer: Answer) -> Answer:
    """It can be kept, and read again."""
    assert answer.completions
    if answer.usage is not None:
        assert 0 <= answer.usage.prompt_tokens <= TOKENS_MAX
        assert 0 <= answer.usage.completion_tokens <= TOKENS_MAX
    assert math.isfinite(answer.latency_s)
    kept = PaidCall(
        reservation="r", completions=answer.completions, usage=answer.usage,  # type: ignore[arg-type]
        cost_nanodollars=0, model=answer.model, fingerprint=answer.fingerprint, latency_s=0.1,
    )  # fmt: skip
    if answer.usage is not None:
        assert PaidCall.from_json(kept.to_json()) == kept
    return answer


def plain(body: bytes, **headers: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}


@given(mutated(RIGHT))
def test_a_200_is_an_answer_or_in_doubt(server: Server, endpoint: Endpoint, body: Any) -> None:
    text = json.dumps(body).encode()
    server.answer = (200, plain(text), text)
    assert isinstance(asked(endpoint), Answer | InDoubt)


@given(
    st.binary(max_size=300),
    st.sampled_from(["application/json", "text/html", "text/event-stream", "", "\x00", "image/png"]),
    st.sampled_from([{}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "br"},
                     {"Transfer-Encoding": "chunked"}, {"Content-Length": "9999"},
                     {"Content-Length": "-1"}, {"Content-Length": "1"}, {"Location": "http://[/"}]),
)  # fmt: skip
def test_bytes_that_are_no_answer(
    server: Server, endpoint: Endpoint, body: bytes, kind: str, headers: dict[str, str]
) -> None:
    server.answer = (200, {"Content-Type": kind, **headers}, body)
    assert isinstance(asked(endpoint), Answer | InDoubt)


@given(
    mutated(ERROR),
    st.sampled_from([301, 302, 307, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 451, 499,
                     500, 501, 502, 503, 504, 529, 599]),
    st.sampled_from([{}, {"Retry-After": "-1"}, {"Retry-After": "nan"}, {"Retry-After": "9" * 400},
                     {"Retry-After": "soon"}, {"Retry-After": "Fri, 99 Foo 2026 99:99:99 GMT"},
                     {"Retry-After": "Sun, 06 Nov 999999 08:49:37 GMT"}, {"retry-after-ms": "inf"},
                     {"Location": "http://127.0.0.1:1/"}, {"x-ratelimit-reset-requests": "6m0s"},
                     {"x-ratelimit-limit-requests": "-9"}, {"x-ratelimit-limit-tokens": "9" * 400}]),
)  # fmt: skip
@example(ERROR, 429, {"Retry-After": "Sun, 06 Nov 999999 08:49:37 GMT"})
def test_an_error_has_a_name(
    server: Server, endpoint: Endpoint, body: Any, status: int, headers: dict[str, str]
) -> None:
    text = json.dumps(body).encode()
    server.answer = (status, plain(text, **headers), text)
    failure = asked(endpoint)
    assert isinstance(failure, NotBilled | InDoubt), failure


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"choices": ' + b"[" * 5000,
        b'{"choices": [{"text": "' + b"x" * 70_000_000,
        b'{"usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}",
        b'\xef\xbb\xbf{"choices": []}',
        b"",
        b"null",
    ],
    ids=["deep", "deep choices", "huge", "a long number", "bom", "empty", "null"],
)
def test_a_body_without_measure_is_in_doubt(
    server: Server, endpoint: Endpoint, body: bytes
) -> None:
    server.answer = (200, plain(body), body)
    assert isinstance(asked(endpoint), InDoubt)

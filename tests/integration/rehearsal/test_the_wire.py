"""What comes over the wire that is no request, and a server that ends in the middle of one."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai import OpenAI

from rehearsal import RehearsalServer

from .conftest import API_KEY, wait_until


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", 400),
        (b"POST /_faults HTTP/1.1\r\ncontent-length: many\r\n\r\n", 400),
        (b"POST /_faults HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"POST /_faults HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nlong: " + b"x" * 200_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused(
    server: RehearsalServer, request_bytes: bytes, status: int
) -> None:
    host, port = server.root_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_bytes)
        assert connection.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("body", [b"not json", b"[" * 100_000, b"\xff", b"[]", b'{"model": 3}'])
def test_a_body_that_is_no_request_is_a_400(server: RehearsalServer, body: bytes) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\napi-key: {API_KEY}\r\nconnection: close\r\n"
    host, port = server.root_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_server_that_stops_cuts_the_calls_under_way_and_bills_none(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI], asked: dict[str, Any]
) -> None:
    server = serve(faults=[{"kind": "slow", "delay_s": 60}])
    client = connect(server)
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(client.chat.completions.create, **asked)
        wait_until(lambda: server.books().in_flight == 1)
        server.stop()
        with pytest.raises(openai.APIConnectionError):
            call.result(timeout=10)
    assert server.books().billed_calls == 0

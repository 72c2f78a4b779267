"""An endpoint that answers what it is told and keeps what it was sent, byte for byte."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from study.spec import EndpointSpec
from workers.llm import Endpoint


class Scripted:
    """A server that sends `pieces` as the body of each answer, pausing `pause` between them."""

    def __init__(self) -> None:
        self.status = 200
        self.pieces: list[bytes] = []
        self.endless = False
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.gone = threading.Event()
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.requests.append((self.path, headers, body))
                self.send_response(script.status)
                self.send_header("content-type", "application/json")
                self.send_header("connection", "close")
                self.end_headers()
                try:
                    for piece in script.pieces:
                        self.wfile.write(piece)
                        self.wfile.flush()
                    while script.endless and not script.gone.wait(0.02):
                        self.wfile.write(b" ")
                except OSError:
                    pass

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        return f"{self.root_url}/v1"

    def answer(self, *texts: str | None, **other: Any) -> None:
        """Answer with these texts, in the chat API's form."""
        choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]
        usage = {"prompt_tokens": 10, "completion_tokens": 5 * len(texts)}
        body = {"model": "m-2", "choices": choices, "usage": usage, **other}
        self.pieces = [json.dumps(body).encode()]

    def close(self) -> None:
        self.gone.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    server.answer("yes")
    yield server
    server.close()


Open = Callable[..., Endpoint]


@pytest.fixture
def open_endpoint() -> Iterator[Open]:
    """Opens endpoints that close with the test."""
    with ExitStack() as stack:

        def make(base_url: str | None, *, key: str = "sk-test-12345678", **spec: Any) -> Endpoint:
            endpoint = Endpoint.open(EndpointSpec(**spec), base_url=base_url, key=key)
            stack.callback(endpoint.close)
            return endpoint

        yield make

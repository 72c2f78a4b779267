"""A server that sends whatever a test tells it to, raw: for ever, or as fast as the other end reads."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Send = Callable[[bytes], None]


class Raw(socketserver.ThreadingTCPServer):
    """Reads a request, lets the test's function answer it, and ends the connection."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Callable[[Send], None] = lambda send: None
        self.ended = threading.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def drip(self, send: Send, piece: bytes, *, every_s: float) -> None:
        """Send a piece now and then, until the other end is gone or the test is over."""
        while not self.ended.wait(every_s):
            send(piece)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Raw)
        length = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self.rfile.read(length)
        with suppress(OSError):  # the other end has had enough
            self.server.answer(self.connection.sendall)
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def raw_server() -> Iterator[Raw]:
    """One that runs."""
    with Raw() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()

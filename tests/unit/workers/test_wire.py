"""The bounds of the wire hold for every connection of a client, also by way of a proxy, also with TLS."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpcore2
import httpx2
import openai
import pytest

from workers import wire


def test_all_ways_out_are_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client has no public way in: this fails where a newer one has another way."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with wire.bound(openai.DefaultHttpxClient()) as client:
        transports = [client._transport, *(one for one in client._mounts.values() if one)]
        assert len(transports) >= 2
        for transport in transports:
            pool = transport._pool  # type: ignore[attr-defined]
            assert isinstance(pool, httpcore2.ConnectionPool)
            assert isinstance(pool._network_backend, wire._Backend)


class Handler(BaseHTTPRequestHandler):
    """Answers, and then sends a header that never ends."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.ended.wait(0.02):  # type: ignore[attr-defined]
                self.wfile.write(b"x")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """An HTTPS server, and who trusts it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        running.handle_error = lambda *_: None  # type: ignore[method-assign]
        running.ended = threading.Event()  # type: ignore[attr-defined]
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        trusting = ssl.create_default_context(cafile=str(certificate))
        yield f"https://localhost:{running.server_port}", trusting
        running.ended.set()  # type: ignore[attr-defined]
        running.shutdown()
        thread.join()


def test_tls_is_bound_as_well(server: tuple[str, ssl.SSLContext]) -> None:
    url, trusting = server
    with wire.bound(httpx2.Client(verify=trusting, timeout=60.0, trust_env=False)) as client:
        assert client.get(url).text == "ok"
        with wire.within(60.0):
            assert client.get(url).text == "ok"
        with pytest.raises(httpx2.TimeoutException, match=r"longer than 0\.3 s"), wire.within(0.3):
            client.get(f"{url}/slow")

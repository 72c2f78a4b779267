"""Wire: bounds of time and size on all that an endpoint sends: headers, answers and errors.

The client's own timeouts are for each read: whoever sends a byte now and then, in a header, in an error or as
`100 Continue`, would hold a thread for ever. And the client reads an error to its end, however long that is.
"""

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

import httpcore2
import httpx2
import openai

ERROR_BYTES_MAX: Final = 1024 * 1024
"""Of an error, its encoding undone: what is behind it is not read."""

_call = threading.local()
"""Until when the call that this thread makes may go on, and how long it may take."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let what this thread reads and writes on bounded connections end after so many seconds in all."""
    _call.ends_s, _call.seconds = time.monotonic() + seconds, seconds
    try:
        yield
    finally:
        del _call.ends_s, _call.seconds


def bound(client: httpx2.Client) -> httpx2.Client:
    """Bound all connections that a client will make, and the errors that it will read."""
    client.event_hooks = {"response": [_raise_error]}
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)  # a transport has no other way in
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend)
    return client


def _raise_error(response: httpx2.Response) -> None:
    """Read what is no answer as far as it is worth reading, and raise it as the client would."""
    if response.is_success:
        return
    body = bytearray()
    with suppress(httpx2.HTTPError, httpx2.StreamError), closing(response):
        for piece in response.iter_bytes():
            body += piece[: ERROR_BYTES_MAX - len(body)]
            if len(body) == ERROR_BYTES_MAX:
                break
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
    ]
    read = httpx2.Response(
        response.status_code, headers=headers, content=bytes(body), request=response.request
    )
    raise openai.APIStatusError(f"Error code: {read.status_code}", response=read, body=None)


class _Backend(httpcore2.NetworkBackend):
    """Makes connections that obey `within`."""

    def __init__(self, inner: httpcore2.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    """A connection that obeys `within`, whichever call it is used for."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s = _left_s(timeout)
        if left_s == 0.0:
            raise httpcore2.ReadTimeout(_words("it is over"))
        try:
            return self._inner.read(max_bytes, left_s)
        except httpcore2.ReadTimeout as exc:
            raise httpcore2.ReadTimeout(_words(str(exc))) from exc

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left_s = _left_s(timeout)
        if left_s == 0.0:
            raise httpcore2.WriteTimeout(_words("it is over"))
        try:
            self._inner.write(buffer, left_s)
        except httpcore2.WriteTimeout as exc:
            raise httpcore2.WriteTimeout(_words(str(exc))) from exc

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left_s(timeout: float | None) -> float | None:
    """The time that is left for this read or write."""
    ends_s: float | None = getattr(_call, "ends_s", None)
    if ends_s is None:
        return timeout
    left_s = max(0.0, ends_s - time.monotonic())
    return left_s if timeout is None else min(timeout, left_s)


def _words(otherwise: str) -> str:
    ends_s: float | None = getattr(_call, "ends_s", None)
    if ends_s is None or time.monotonic() < ends_s:
        return otherwise
    return f"the call took longer than {_call.seconds:g} s"

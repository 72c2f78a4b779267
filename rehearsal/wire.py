"""Just enough of HTTP/1.1 for JSON requests, apart because nothing in it knows what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from rehearsal.errors import ApiError

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """One request: its headers' names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        """Whether the client means to send more on this connection."""
        return self.headers.get("connection", "").lower() != "close"


async def read_request(reader: asyncio.StreamReader) -> HttpRequest | None:
    """Read the next request of a connection.

    Args:
        reader: The connection, made with a limit of `HEAD_BYTES_MAX`.

    Returns:
        The request, or None at the end of the connection.

    Raises:
        ApiError: It is not a request that this server reads; the connection is of no more use.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError as exc:
        raise ApiError(431, "The request's headers are too large.") from exc
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    try:
        method, target, _ = first.split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, value in (line.split(":", 1) for line in lines)
        }
        length = int(headers.get("content-length", 0))
    except ValueError as exc:
        raise ApiError(400, "This is not an HTTP request.") from exc
    if "transfer-encoding" in headers:
        raise ApiError(411, "Send the body with a Content-Length.")
    if not 0 <= length <= BODY_BYTES_MAX:
        raise ApiError(413, f"A body has at most {BODY_BYTES_MAX} bytes.")
    try:
        body = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    url = urlsplit(target)
    return HttpRequest(
        method=method, path=unquote(url.path), query=url.query, headers=headers, body=body
    )


def write_reply(
    writer: asyncio.StreamWriter,
    *,
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    keeps_alive: bool,
) -> None:
    """Write a reply; its body is JSON where the headers do not say otherwise."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    all_headers = {
        "content-type": "application/json",
        "content-length": len(body),
        "connection": "keep-alive" if keeps_alive else "close",
        **headers,
    }
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        *(f"{name}: {all_headers[name]}" for name in all_headers),
    ]
    writer.write("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)

"""The server: OpenAI's paths on a port of this machine, in one thread that waits for many clients at once."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from rehearsal.books import Bookkeeper, Books, Price
from rehearsal.completion import Source
from rehearsal.endpoint import Endpoint, Latency, Reply
from rehearsal.errors import ApiError
from rehearsal.faults import Fault, FaultPlan
from rehearsal.limits import Limit, Limiter
from rehearsal.problems import Problem, Problems
from rehearsal.routes import Routes
from rehearsal.wire import HEAD_BYTES_MAX, read_request, write_reply

BACKLOG = 1024
"""How many clients may connect at the same moment."""

STOP_TIMEOUT_S = 10.0
"""How long the server may take to cut its connections."""


class RehearsalServer:
    """An endpoint that speaks OpenAI's API, for as long as the context lasts."""

    def __init__(
        self,
        *,
        problems: Iterable[Mapping[str, Any] | Problem],
        models: Mapping[str, tuple[Any, Any]],
        source: Source,
        api_key: str | None = None,
        seal_key: bytes | None = None,
        latency: Latency | None = None,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        refusals: Mapping[str, Collection[str]] | None = None,
        limits: Mapping[str, tuple[int | None, int | None]] | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Prepare a server; it listens from `start` (or the context's beginning) on.

        Args:
            problems: What it can be asked: rows {"id", "prompt", "solution", "entry_point"}.
            models: The models that it has, with input and output dollars per million tokens.
            source: Where answers come from, `Synthetic` or `Recorded`; one of this server's own.
            api_key: The key that clients must send; None asks for none.
            seal_key: The key that seals synthetic answers; None (or none at all, b"") is one that nobody
                knows.
            latency: How long answers take; None is no time.
            faults: What goes wrong from the start on.
            refusals: For each model the parameters that it does not take.
            limits: For each model its requests and tokens per minute; None is no limit.
            seed: The seed of all chance.
            host: The address to listen on.
            port: The port to listen on; 0 is any free one.
        """
        self._address = (host, port)
        self._endpoint = Endpoint(
            problems=Problems.from_rows(problems),
            prices={model: Price.of(price) for model, price in models.items()},
            source=source,
            seal_key=seal_key or secrets.token_bytes(32),
            latency=latency or Latency(),
            refusals=refusals or {},
            seed=seed,
            books=Bookkeeper(),
            faults=FaultPlan(seed=seed),
            limiter=Limiter(limits={model: Limit.of(one) for model, one in (limits or {}).items()}),
        )
        self.set_faults(faults)
        self._routes = Routes(self._endpoint, api_key=api_key)
        self._conversations: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready, self._stopping = threading.Event(), asyncio.Event()
        self._thread: threading.Thread | None = None

    @property
    def root_url(self) -> str:
        """The server's address without a path; what `AzureOpenAI` takes as `azure_endpoint`."""
        return "http://{}:{}".format(*self._address)

    @property
    def base_url(self) -> str:
        """What the OpenAI client takes as `base_url`."""
        return f"{self.root_url}/v1"

    def books(self) -> Books:
        """Return the server's own books as they stand."""
        return self._endpoint.books.read()

    def set_faults(self, faults: Iterable[Fault | Mapping[str, Any]]) -> None:
        """Put these faults in the place of those in force."""
        self._endpoint.faults.set(faults)

    def start(self) -> None:
        """Listen; when this returns, clients can connect.

        Raises:
            OSError: The address can't be had.
        """
        listener = socket.create_server(self._address, backlog=BACKLOG)
        self._address = (self._address[0], listener.getsockname()[1])
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="rehearsal", daemon=True
        )
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Cut all connections and end; calls under way are neither answered nor billed."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_TIMEOUT_S)
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._ready.set()
            runner.run(self._listen(listener))

    async def _listen(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(
            self._converse, sock=listener, limit=HEAD_BYTES_MAX, backlog=BACKLOG
        )
        await self._stopping.wait()
        server.close()
        conversations = list(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        conversation = asyncio.current_task()
        assert conversation is not None  # noqa: S101 - for mypy: this runs in a task
        self._conversations.add(conversation)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._conversations.discard(conversation)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, and tell whether another may follow."""
        try:
            request = await read_request(reader)
            if request is None:
                return False
            reply = await self._routes.reply(request)
            keeps_alive = request.keeps_alive
        except ApiError as error:
            reply, keeps_alive = Reply.of_error(error), False
        if reply.is_cut:
            writer.transport.abort()
            return False
        if reader.at_eof() or writer.is_closing():  # the client did not wait for its answer
            return False
        self._routes.deliver(reply)  # before the client can see it, so that books never lag behind
        write_reply(
            writer,
            status=reply.status,
            body=reply.body,
            headers=reply.headers,
            keeps_alive=keeps_alive,
        )
        await writer.drain()
        return keeps_alive

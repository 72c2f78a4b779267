"""A running stand-in, and the real openai client to talk to it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from openai import OpenAI

from rehearsal import RehearsalServer, Synthetic

PROBLEMS = [
    {
        "id": f"add-{number}",
        "prompt": f'def add_{number}(x):\n    """Return x plus {number}."""\n',
        "solution": f"    return x + {number}\n",
        "entry_point": f"add_{number}",
    }
    for number in range(20)
]
API_KEY = "rehearsal-key"
SEAL_KEY = b"seal"
WAIT_MAX_S = 20.0


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for what the server does on its own; fail where it does not."""
    deadline_s = time.monotonic() + WAIT_MAX_S
    while not happened():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def serve() -> Iterator[Callable[..., RehearsalServer]]:
    """Start servers that end with the test; what is not given is the default."""
    with ExitStack() as servers:

        def start(**given: Any) -> RehearsalServer:
            defaults: dict[str, Any] = {
                "problems": PROBLEMS,
                "models": {"small": (0.15, 0.6), "large": ("2.50", "10.00")},
                "api_key": API_KEY,
                "seal_key": SEAL_KEY,
            }
            options = defaults | given
            options.setdefault("source", Synthetic())
            return servers.enter_context(RehearsalServer(**options))

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[..., OpenAI]]:
    """Make clients that end with the test."""
    with ExitStack() as clients:

        def make(server: RehearsalServer, **given: Any) -> OpenAI:
            options = {
                "base_url": server.base_url,
                "api_key": API_KEY,
                "max_retries": 0,
                "timeout": 30,
            }
            return clients.enter_context(OpenAI(**(options | given)))

        yield make


@pytest.fixture
def server(serve: Callable[..., RehearsalServer]) -> RehearsalServer:
    """A server with everything at its default."""
    return serve()


@pytest.fixture
def client(connect: Callable[..., OpenAI], server: RehearsalServer) -> OpenAI:
    """A client of that server."""
    return connect(server)


@pytest.fixture
def asked() -> dict[str, Any]:
    """The arguments of a chat request for the first problem."""
    return {"model": "small", "messages": [{"role": "user", "content": PROBLEMS[0]["prompt"]}]}

"""The books and what the clients were told agree, to the nanodollar, with many clients at once."""

import asyncio
import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion

from rehearsal import Latency, RehearsalServer

from .conftest import API_KEY, PROBLEMS

NANODOLLARS = {"small": (150, 600), "large": (2500, 10_000)}  # per prompt and completion token


def test_the_books_are_the_sum_of_the_usages(client: OpenAI, server: RehearsalServer) -> None:
    def call(number: int) -> ChatCompletion:
        prompt = PROBLEMS[number % len(PROBLEMS)]["prompt"]
        model = "large" if number % 3 == 0 else "small"
        return client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": prompt}], n=1 + number % 7
        )

    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(call, range(60)))
    billed = 0
    for response in responses:
        assert response.usage is not None
        input_price, output_price = NANODOLLARS[response.model]
        billed += response.usage.prompt_tokens * input_price
        billed += response.usage.completion_tokens * output_price
    books = server.books()
    assert books.billed_nanodollars == billed
    assert (books.calls, books.completed, books.billed_calls, books.in_flight) == (60, 60, 60, 0)
    assert {record.id for record in books.records} == {response.id for response in responses}
    assert {model: tally.calls for model, tally in books.by_model.items()} == {
        "large": 20,
        "small": 40,
    }


def test_the_books_can_be_read_over_http(
    client: OpenAI, server: RehearsalServer, asked: dict[str, Any]
) -> None:
    response = client.chat.completions.create(**asked, n=2)
    with urllib.request.urlopen(f"{server.root_url}/_stats") as reply:
        stats = json.load(reply)
    with urllib.request.urlopen(f"{server.root_url}/_calls") as reply:
        calls = json.load(reply)
    assert stats == json.loads(json.dumps(server.books().as_stats()))
    assert (stats["calls"], stats["by_status"], stats["most_at_once"]) == (1, {"200": 1}, 1)
    assert [(call["id"], call["problem"], call["n"], call["delivered"]) for call in calls] == [
        (response.id, "add-0", 2, True)
    ]


def test_sixty_four_slow_calls_are_in_flight_together(
    serve: Callable[..., RehearsalServer], asked: dict[str, Any]
) -> None:
    server = serve(latency=Latency(fixed_s=0.3))
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {API_KEY}\r\n"
    request = f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    host, port = server.root_url.removeprefix("http://").split(":")

    async def call() -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()
        return reply

    async def call_together() -> list[bytes]:
        return await asyncio.gather(*(call() for _ in range(64)))

    replies = asyncio.run(call_together())
    assert all(reply.startswith(b"HTTP/1.1 200") for reply in replies)
    assert server.books().most_at_once == 64


def test_latency_grows_with_the_longest_completion() -> None:
    latency = Latency(fixed_s=1, per_token_s=0.01, jitter=0.5)
    assert latency.of(100, chance=0) == 2
    assert latency.of(100, chance=1) == 3

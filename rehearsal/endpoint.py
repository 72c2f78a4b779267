"""The endpoint without its wire: a request in, a reply out, and the books in between."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rehearsal.books import Bookkeeper, CallRecord, Price
from rehearsal.chance import unit
from rehearsal.completion import Completion, Source
from rehearsal.errors import ApiError
from rehearsal.faults import ANSWERS, GATEWAY, FaultPlan, Mishap
from rehearsal.limits import Limiter
from rehearsal.problems import Problems
from rehearsal.request import Api, CompletionRequest, read_request

PAGE = b"<html>Just a moment</html>"
HTML = {"content-type": "text/html"}


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long an answer takes: a fixed time, and a time for each token of the longest completion.

    Attributes:
        fixed_s: The time before the first token.
        per_token_s: The time for each token.
        jitter: The share by which a call may take longer, drawn per call from the seed.
    """

    fixed_s: float = 0.0
    per_token_s: float = 0.0
    jitter: float = 0.0

    def of(self, tokens: int, *, chance: float) -> float:
        """Return the seconds for a call whose longest completion has that many tokens."""
        return (self.fixed_s + self.per_token_s * tokens) * (1 + self.jitter * chance)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What goes back on the wire.

    Attributes:
        status: The HTTP status.
        body: The body's bytes.
        headers: Headers that every reply has not, or has otherwise.
        is_cut: Whether the connection is cut instead of sending anything.
        record: The number of the billed call whose answer this is, in the books.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False
    record: int | None = None

    @classmethod
    def of_json(cls, value: Any, **attributes: Any) -> Reply:
        """Make a reply whose body is JSON."""
        return cls(body=json.dumps(value, separators=(",", ":")).encode(), **attributes)

    @classmethod
    def of_error(cls, error: ApiError) -> Reply:
        """Make the reply that an error is."""
        headers = dict(error.headers)
        if error.retry_after_s is not None:
            headers["retry-after"] = f"{error.retry_after_s:g}"
        return cls.of_json(error.body(), status=error.status, headers=headers)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Answers requests for completions, and bills them.

    Attributes:
        problems: What it can be asked.
        prices: The models that it has, with their prices.
        source: Where answers come from.
        seal_key: The key of the fingerprints of synthetic answers.
        latency: How long an answer takes.
        refusals: For each model the parameters that it does not take.
        seed: The seed of all chance.
        books: Where calls are written down.
        faults: What goes wrong.
        limiter: How much it takes per minute.
    """

    problems: Problems
    prices: Mapping[str, Price]
    source: Source
    seal_key: bytes
    latency: Latency
    refusals: Mapping[str, Collection[str]]
    seed: int
    books: Bookkeeper
    faults: FaultPlan
    limiter: Limiter

    async def complete(self, api: Api, body: bytes, *, deployment: str | None, call: int) -> Reply:
        """Answer one request for completions, in the time that an answer takes.

        Args:
            api: Which API is called.
            body: The request's body.
            deployment: Azure's deployment, where the path names one.
            call: The number of the call, from 1.

        Returns:
            The reply; it is in the books already, but for its delivery.

        Raises:
            ApiError: The request is refused; nothing is billed.
        """
        mishap = self.faults.strike(call)
        refusal = mishap.refusal()
        gateway = mishap.kind and GATEWAY.get(mishap.kind)
        if refusal is not None or gateway or mishap.kind == "cut_before":
            await asyncio.sleep(mishap.delay_s)
            if refusal is not None:
                raise refusal
            if gateway:
                return Reply(status=gateway, body=PAGE, headers=HTML)
            return Reply(is_cut=True)
        request = self._read(api, body, deployment)
        arrived_s = time.monotonic()
        headers = self.limiter.admit(request.model, tokens=request.tokens_asked, now_s=arrived_s)
        asked = self.problems.find(request.text)
        drawn = self.source.draw(asked, request, seed=self.seed)
        delay_s = mishap.delay_s + self.latency.of(
            max(completion.tokens for completion in drawn),
            chance=unit(self.seed, "jitter", call),
        )
        await asyncio.sleep(delay_s)
        record = self._bill(
            request, drawn, problem=asked.problem.id, call=call, arrived_s=arrived_s
        )
        reply = self._reply(request, drawn[: request.n], mishap, record)
        return replace(reply, headers={**headers, **reply.headers})

    def _read(self, api: Api, body: bytes, deployment: str | None) -> CompletionRequest:
        try:
            decoded = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise ApiError(400, "We could not parse the JSON body of your request.") from exc
        request = read_request(api, decoded, deployment=deployment, refusals=self.refusals)
        if request.model not in self.prices:
            raise unknown_model(request.model)
        self.books.ask(request.model)
        return request

    def _bill(
        self,
        request: CompletionRequest,
        drawn: list[Completion],
        *,
        problem: str,
        call: int,
        arrived_s: float,
    ) -> tuple[int, CallRecord]:
        completion_tokens = sum(completion.tokens for completion in drawn)
        record = CallRecord(
            id=f"{'chatcmpl' if request.api == 'chat' else 'cmpl'}-rehearsal-{self.seed}-{call}",
            model=request.model,
            problem=problem,
            n=request.n,
            prompt_tokens=request.prompt_tokens,
            completion_tokens=completion_tokens,
            nanodollars=self.prices[request.model].bill_nanodollars(
                prompt_tokens=request.prompt_tokens, completion_tokens=completion_tokens
            ),
            arrived_s=arrived_s,
            tokens_asked=request.tokens_asked,
        )
        return self.books.bill(record), record

    def _reply(
        self,
        request: CompletionRequest,
        chosen: list[Completion],
        mishap: Mishap,
        billed: tuple[int, CallRecord],
    ) -> Reply:
        number, record = billed
        if mishap.kind == "cut_after":
            return Reply(is_cut=True)
        if mishap.kind == "garbage":
            return Reply(body=b'{"choices": [{"message": {"cont')
        if mishap.kind == "web_page":
            return Reply(body=PAGE, headers=HTML)
        if mishap.kind == "fewer_choices":
            chosen = chosen[:-1]
        elif mishap.kind == "empty_choices":
            chosen = []
        answer = self._answer(request, chosen, record)
        if mishap.kind == "no_choices":
            del answer["choices"]
        elif mishap.kind == "content_filter":
            nothing: dict[str, Any] = {"text": ""}
            if request.api == "chat":
                nothing = {"message": {"role": "assistant", "content": None}}
            for choice in answer["choices"]:
                choice.update(nothing, finish_reason="content_filter")
        elif mishap.kind == "snapshot":
            answer["model"] = f"{record.model}-2026-11-01"
        elif mishap.kind == "no_usage":
            del answer["usage"]
        is_answer = mishap.kind is None or mishap.kind in ANSWERS
        return Reply.of_json(answer, record=number if is_answer else None)

    def _answer(
        self, request: CompletionRequest, chosen: Iterable[Completion], record: CallRecord
    ) -> dict[str, Any]:
        is_chat = request.api == "chat"
        choices: list[dict[str, Any]] = []
        for index, completion in enumerate(chosen):
            said: dict[str, Any] = {"text": completion.text}
            if is_chat:
                said = {"message": {"role": "assistant", "content": completion.text}}
            choices.append(
                {
                    "index": index,
                    **said,
                    "logprobs": None,
                    "finish_reason": completion.finish_reason,
                }
            )
        return {
            "id": record.id,
            "object": "chat.completion" if is_chat else "text_completion",
            "created": int(time.time()),
            "model": record.model,
            "system_fingerprint": self._fingerprint([c.text for c in chosen]),
            "choices": choices,
            "usage": {
                "prompt_tokens": record.prompt_tokens,
                "completion_tokens": record.completion_tokens,
                "total_tokens": record.prompt_tokens + record.completion_tokens,
            },
        }

    def _fingerprint(self, texts: list[str]) -> str:
        """Seal synthetic answers, so that a holder of the key knows them for this server's own."""
        said = "\x00".join(texts).encode("utf-8", "surrogatepass")
        if self.source.label == "synthetic":
            return "synthetic-" + hmac.new(self.seal_key, said, hashlib.sha256).hexdigest()
        return f"{self.source.label}-{hashlib.sha256(said).hexdigest()}"


def unknown_model(model: str) -> ApiError:
    """Make the 404 for a model that the endpoint does not have."""
    return ApiError(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        param="model",
        code="model_not_found",
    )

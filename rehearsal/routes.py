"""What each path means: who may ask, what is answered, and what of it counts as a call."""

from __future__ import annotations

import hmac
import json
import re
import time
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

from rehearsal.endpoint import Endpoint, Reply, unknown_model
from rehearsal.errors import ApiError
from rehearsal.wire import HttpRequest

_COMPLETE = re.compile(
    r"(?:/v1|/openai/v1|/openai/deployments/(?P<deployment>[^/]+))"
    r"/(?P<path>chat/completions|completions)"
)
_MODELS = re.compile(r"(?:/v1|/openai/v1)/models(?:/(?P<model>.+))?")


class Routes:
    """Takes a request to the endpoint, or to the books and faults behind it."""

    def __init__(self, endpoint: Endpoint, *, api_key: str | None) -> None:
        self._endpoint = endpoint
        self._api_key = api_key
        self._calls = 0
        self._started_at_s = int(time.time())

    async def reply(self, request: HttpRequest) -> Reply:
        """Answer any request; a refusal is a reply as well."""
        complete = _COMPLETE.fullmatch(request.path)
        if complete and request.method == "POST":
            return await self._complete(request, **complete.groupdict())
        try:
            return self._look_up(request)
        except ApiError as error:
            return Reply.of_error(error)

    def deliver(self, reply: Reply) -> None:
        """Write down that a reply goes out whole."""
        if reply.record is not None:
            self._endpoint.books.deliver(reply.record)

    async def _complete(self, request: HttpRequest, *, deployment: str | None, path: str) -> Reply:
        books = self._endpoint.books
        books.arrive()
        self._calls += 1
        outcome = "cut"
        try:
            self._authorize(request)
            if deployment is not None and "api-version" not in parse_qs(request.query):
                raise ApiError(404, "Resource not found: api-version is missing.", code="404")
            reply = await self._endpoint.complete(
                "chat" if path.startswith("chat") else "completions",
                request.body,
                deployment=deployment,
                call=self._calls,
            )
            outcome = "cut" if reply.is_cut else str(reply.status)
        except ApiError as error:
            outcome = str(error.status)
            return Reply.of_error(error)
        else:
            return reply
        finally:
            books.leave(outcome)

    def _look_up(self, request: HttpRequest) -> Reply:
        """Answer what is no call: the models, the books, the faults."""
        books, faults = self._endpoint.books, self._endpoint.faults
        models = _MODELS.fullmatch(request.path)
        match request.method, request.path:
            case "GET", "/_stats":
                return Reply.of_json(books.read().as_stats())
            case "GET", "/_calls":
                return Reply.of_json([asdict(record) for record in books.read().records])
            case "POST", "/_faults":
                faults.set(_read_faults(request.body))
                return Reply.of_json([asdict(fault) for fault in faults.read()])
            case "GET", "/_faults":
                return Reply.of_json([asdict(fault) for fault in faults.read()])
            case "GET", _ if models:
                self._authorize(request)
                return Reply.of_json(self._models(models["model"]))
        raise ApiError(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")

    def _models(self, model: str | None) -> dict[str, Any]:
        known = {
            name: {
                "id": name,
                "object": "model",
                "created": self._started_at_s,
                "owned_by": "rehearsal",
            }
            for name in self._endpoint.prices
        }
        if model is None:
            return {"object": "list", "data": list(known.values())}
        if model not in known:
            raise unknown_model(model)
        return known[model]

    def _authorize(self, request: HttpRequest) -> None:
        if self._api_key is None:
            return
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = request.headers.get("api-key", bearer)
        if not given:
            raise ApiError(401, "You didn't provide an API key.", code="missing_api_key")
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")


def _read_faults(body: bytes) -> list[Any]:
    try:
        faults = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "The faults must be JSON.") from exc
    if not isinstance(faults, list):
        raise ApiError(400, "The faults must be a JSON list.")
    return faults

"""Completion: one request made in this process, on the workers' own client, and what it brought."""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar import credentials
from study import money
from study.errors import CredentialsError, InfrastructureError, SpecError
from study.prices import Price, Usage
from study.spec import EndpointSpec
from study.studies import Source
from study.templates import Rendered

TRIES_MAX: Final = 4
"""For what provably was not billed and may pass: a full minute, a busy server."""
WAIT_S_MAX: Final = 20.0


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a chat model said."""

    content: str
    role: str = "assistant"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One answer; `text` and `message.content` are the same."""

    index: int
    text: str
    finish_reason: str

    @property
    def message(self) -> Message:
        """The answer as the chat API gives it."""
        return Message(content=self.text)


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a request brought, in the shape of the API's own responses.

    Args:
        model: the name under which it answered.
        choices: the answers.
        usage: prompt_tokens and completion_tokens, over all calls that it took.
        cost: in dollars; None where the model has no known price.
        config: what was asked with.
        system_fingerprint: the provider's.
    """

    model: str
    choices: tuple[Choice, ...]
    usage: Usage
    cost: float | None
    config: Mapping[str, Any]
    system_fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked, in full.

    Args:
        rendered: the prompt.
        model: the provider's name of it.
        params: the API's parameters, without model, prompt and n.
        n: how many answers.
    """

    rendered: Rendered
    model: str
    params: Mapping[str, Any]
    n: int


class Completer:
    """Makes requests to one endpoint; any number of threads may share it.

    Args:
        endpoint: the spec's table.
        base_url: where, if not where the table or the environment says.
        source: a rehearsal never gets the real key.
        sleep: seconds; waits between tries.
    """

    def __init__(
        self,
        endpoint: EndpointSpec,
        *,
        base_url: str | None = None,
        source: Source = Source.MODEL,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from workers import failures, llm  # takes a second, for the API's client

        self._failures, self._sleep = failures, sleep
        where = llm.base_url_of(endpoint, override=base_url, environ=os.environ)
        try:
            key = llm.key_of(endpoint, base_url=where, source=source, environ=os.environ)
        except failures.Unauthorised as exc:
            raise credentials.missing(endpoint) from exc
        self._endpoint = llm.Endpoint.open(endpoint, base_url=where, key=key)

    def __enter__(self) -> "Completer":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._endpoint.close()

    def complete(
        self, request: Request, *, price: Price | None, config: Mapping[str, Any]
    ) -> Response:
        """Ask for the request's n answers; where a server gives fewer at a time, ask again.

        Args:
            request: what is asked.
            price: of the model.
            config: what the response says that it was asked with.

        Raises:
            CredentialsError: the provider refuses the key, or the quota is used up.
            SpecError: it refuses the request.
            InfrastructureError: no answer came.
        """
        choices: list[Choice] = []
        prompt_tokens = completion_tokens = 0
        while True:
            answer = self._ask(request, n=request.n - len(choices))
            for completion in answer.completions:
                choices.append(
                    Choice(
                        index=len(choices),
                        text=completion.text,
                        finish_reason=completion.finish_reason,
                    )
                )
            if answer.usage is not None:
                prompt_tokens += answer.usage.prompt_tokens
                completion_tokens += answer.usage.completion_tokens
            if len(choices) >= request.n:
                break
        usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        return Response(
            model=answer.model,
            choices=tuple(choices),
            usage=usage,
            cost=None if price is None else money.to_usd(price.cost(usage)),
            config=dict(config),
            system_fingerprint=answer.fingerprint,
        )

    def _ask(self, request: Request, *, n: int) -> Any:
        failures = self._failures
        for attempt in range(1, TRIES_MAX + 1):
            try:
                return self._endpoint.call(
                    request.rendered, model=request.model, params=request.params, n=n
                )
            except (failures.RateLimited, failures.Unavailable) as exc:
                if attempt == TRIES_MAX:
                    raise InfrastructureError(
                        f"the endpoint does not answer: {exc.reason}. Try again later"
                    ) from exc
                self._sleep(_wait_s(attempt, exc.retry_after_s))
            except failures.Forbidden as exc:
                raise CredentialsError(f"nothing can be bought: {exc.reason}") from exc
            except failures.Refused as exc:
                raise SpecError(
                    field="config",
                    value=request.model,
                    problem=f"the provider refuses it ({exc.reason})",
                    remedy="mend the parameter that it names",
                ) from exc
            except failures.CallFailed as exc:
                raise InfrastructureError(
                    f"the call failed, and may have been billed: {exc.reason}"
                ) from exc
        raise AssertionError("unreachable")  # the last attempt returns or raises


def extract_text(response: Any) -> list[str]:
    """The answers of a response, as texts.

    Args:
        response: what `create` returned, or a response of the openai package (or its dict).

    Returns:
        One text for each choice; empty where a model refused.
    """
    choices = response["choices"] if isinstance(response, Mapping) else response.choices
    return [_text(choice) for choice in choices]


def _text(choice: Any) -> str:
    if isinstance(choice, Mapping):
        message = choice.get("message")
        found = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    else:
        message = getattr(choice, "message", None)
        found = choice.text if message is None else message.content
    return found or ""


def _wait_s(attempt: int, retry_after_s: float | None) -> float:
    jitter = random.uniform(0.5, 1.0)  # noqa: S311 (spreads tries, hides nothing)
    wanted = 2.0**attempt * jitter if retry_after_s is None else retry_after_s
    return min(wanted, WAIT_S_MAX)

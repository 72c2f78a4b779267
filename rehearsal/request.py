"""What a client asks for, read and checked once at the edge; inside, a request is a frozen value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rehearsal.errors import ApiError, invalid_value
from rehearsal.tokens import count_chat_tokens, count_tokens

Api = Literal["chat", "completions"]

N_MAX = 128
STOPS_MAX = 4
COMPLETIONS_DEFAULT_TOKENS_MAX = 16  # OpenAI's own default for the completions API

_COMMON = """
    model n stop temperature top_p max_tokens presence_penalty frequency_penalty logit_bias user
    logprobs seed stream stream_options
"""
_CHAT_ONLY = """
    messages max_completion_tokens top_logprobs response_format tools tool_choice service_tier store
    parallel_tool_calls reasoning_effort metadata modalities prediction verbosity prompt_cache_key
    prompt_cache_retention safety_identifier
"""
_COMPLETIONS_ONLY = "prompt best_of echo suffix"
_KNOWN: Mapping[Api, frozenset[str]] = {
    "chat": frozenset(f"{_COMMON} {_CHAT_ONLY}".split()),
    "completions": frozenset(f"{_COMMON} {_COMPLETIONS_ONLY}".split()),
}
# Parameter -> (least, most, kind); None is no limit.
_RANGES: tuple[tuple[str, float | None, float | None, type], ...] = (
    ("temperature", 0, 2, float),
    ("top_p", 0, 1, float),
    ("presence_penalty", -2, 2, float),
    ("frequency_penalty", -2, 2, float),
    ("n", 1, N_MAX, int),
    ("best_of", 1, N_MAX, int),
    ("max_tokens", 1, None, int),
    ("max_completion_tokens", 1, None, int),
    ("top_logprobs", 0, 20, int),
    ("seed", None, None, int),
)


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """One request for completions: what it is asked (`text`), of whom, and within what limits."""

    api: Api
    model: str
    text: str
    prompt_tokens: int
    n: int = 1
    best_of: int = 1
    temperature: float | None = None
    top_p: float | None = None
    tokens_max: int | None = None
    stop: tuple[str, ...] = ()

    @property
    def tokens_asked(self) -> int:
        """What a rate limit counts the request for: its prompt, and all that its answers may have."""
        return self.prompt_tokens + self.best_of * (self.tokens_max or 0)

    @property
    def is_greedy(self) -> bool:
        """Whether all answers of this one call are the same text."""
        return self.temperature == 0 or self.top_p == 0


def read_request(
    api: Api,
    body: Any,
    *,
    deployment: str | None = None,
    refusals: Mapping[str, Collection[str]] | None = None,
) -> CompletionRequest:
    """Read and check a request's JSON body.

    Args:
        api: Which API the request's path names.
        body: The decoded JSON.
        deployment: Azure's deployment from the path, which takes the model's place.
        refusals: For each model the parameters that it does not take.

    Returns:
        The request.

    Raises:
        ApiError: A 400 that names the parameter.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "The request body must be a JSON object.")
    given = {name: value for name, value in body.items() if value is not None}
    if deployment is not None:
        given["model"] = deployment
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise ApiError(400, "You must provide a model parameter.", param="model")
    _check_names(api, model, given, (refusals or {}).get(model, ()))
    _check_numbers(given)
    n = given.get("n", 1)
    best_of = given.get("best_of", n)
    if best_of < n:
        raise invalid_value("best_of", f"best_of ({best_of}) must not be less than n ({n}).")
    text, prompt_tokens = _READ_PROMPT[api](given)
    return CompletionRequest(
        api=api,
        model=model,
        text=text,
        prompt_tokens=prompt_tokens,
        n=n,
        best_of=best_of,
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        tokens_max=_read_tokens_max(api, given),
        stop=_read_stop(given.get("stop", ())),
    )


def _check_names(api: Api, model: str, given: Mapping[str, Any], refused: Collection[str]) -> None:
    for name in given:
        if name not in _KNOWN[api]:
            raise ApiError(
                400,
                f"Unrecognized request argument supplied: {name}",
                param=name,
                code="unknown_parameter",
            )
        if name in refused:
            raise ApiError(
                400,
                f"Unsupported parameter: '{name}' is not supported with this model ({model}).",
                param=name,
                code="unsupported_parameter",
            )
    if given.get("stream"):
        raise ApiError(
            400, "The rehearsal endpoint does not stream.", param="stream", code="unsupported_value"
        )


def _check_numbers(given: Mapping[str, Any]) -> None:
    for name, least, most, kind in _RANGES:
        value = given.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int if kind is int else (int, float))
        if not is_number or isinstance(value, bool):
            expected = "an integer" if kind is int else "a number"
            raise ApiError(
                400,
                f"Invalid type for '{name}': expected {expected}, got {value!r}.",
                param=name,
                code="invalid_type",
            )
        # Written so that NaN, which some JSON readers let through, is refused too.
        if not ((least is None or value >= least) and (most is None or value <= most)):
            bounds = f"at least {least}" + ("" if most is None else f" and at most {most}")
            raise invalid_value(name, f"Invalid '{name}': {value} must be {bounds}.")


def _read_tokens_max(api: Api, given: Mapping[str, Any]) -> int | None:
    if "max_tokens" in given and "max_completion_tokens" in given:
        raise invalid_value(
            "max_tokens", "Set max_tokens or max_completion_tokens, not both of them."
        )
    default = COMPLETIONS_DEFAULT_TOKENS_MAX if api == "completions" else None
    tokens_max: int | None = given.get("max_completion_tokens", given.get("max_tokens", default))
    return tokens_max


def _read_stop(stop: Any) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list | tuple) or not all(isinstance(s, str) and s for s in stops):
        raise invalid_value("stop", "Invalid 'stop': give a string or a list of strings.")
    if len(stops) > STOPS_MAX:
        raise invalid_value("stop", f"Invalid 'stop': at most {STOPS_MAX} strings are allowed.")
    return tuple(stops)


def _read_completions_prompt(given: Mapping[str, Any]) -> tuple[str, int]:
    prompt = given.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise invalid_value("prompt", "The rehearsal endpoint takes one prompt, a string.")
    return prompt, count_tokens(prompt)


def _read_chat_prompt(given: Mapping[str, Any]) -> tuple[str, int]:
    messages = given.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid_value(
            "messages", "Invalid 'messages': give a list with at least one message."
        )
    contents: list[str] = []
    asked: list[str] = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise invalid_value("messages", "Invalid 'messages': each one needs a role.")
        content = _read_content(message.get("content"))
        contents.append(content)
        if message["role"] != "assistant":
            asked.append(content)
    return "\n".join(asked), count_chat_tokens(contents)


def _read_content(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    raise invalid_value("messages", "Invalid 'messages': content must be text.")


_READ_PROMPT: Mapping[Api, Callable[[Mapping[str, Any]], tuple[str, int]]] = {
    "chat": _read_chat_prompt,
    "completions": _read_completions_prompt,
}

"""Endpoint: the one place that talks to a model's API; its errors become ours on the way in."""

import inspect
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2
import openai
from openai.resources.chat.completions import Completions as ChatCompletions
from openai.resources.completions import Completions as TextCompletions

from study import templates
from study.paid_calls import Completion
from study.prices import Usage
from study.rate_limit import Limits
from study.spec import EndpointSpec
from study.studies import Source
from study.templates import Rendered
from workers import announced, wire
from workers.failures import CallFailed, InDoubt, OtherName, Refused, Unauthorised, translated

REHEARSAL_KEY: Final = "rehearsal"
"""Sent to the stand-in, so that the real key never is."""
NO_KEY: Final = "unused"
"""Sent to servers of one's own where no key is set."""
CONNECT_TIMEOUT_S: Final = 5.0
WRITE_TIMEOUT_S: Final = 10.0
POOL_TIMEOUT_S: Final = 5.0
CALL_MARGIN_S: Final = CONNECT_TIMEOUT_S + WRITE_TIMEOUT_S + POOL_TIMEOUT_S
"""What a call may take beside its own timeout."""
CONNECTIONS_MAX: Final = 1000
"""More than a worker has threads."""
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Above 128 answers of 100,000 tokens: a larger body is no answer."""
VALUES_MAX: Final = 8_000_000
"""Of an answer's JSON; each takes some 60 bytes once it is read: more are no answer."""
_OTHER_NAME: Final = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
_NO_BRACES: Final = {ord("{"): None, ord("}"): None}
TOKENS_MAX: Final = 1_000_000_000
"""A usage above it is no count."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a call brought.

    Args:
        completions: one or more; fewer than asked for where a server ignores n.
        usage: None where the provider left it out.
        model: the name under which it answered.
        fingerprint: its `system_fingerprint`, or nothing.
        latency_s: from the request to the last byte.
        announced: the rate limits that its headers name.
    """

    completions: tuple[Completion, ...]
    usage: Usage | None
    model: str
    fingerprint: str
    latency_s: float
    announced: Limits = announced.NOTHING


def key_of(
    spec: EndpointSpec, *, base_url: str | None, source: Source, environ: Mapping[str, str]
) -> str:
    """The key that a study's calls are made with.

    Args:
        spec: the study's endpoint.
        base_url: as resolved by `base_url_of`.
        source: a rehearsal never gets the real key.
        environ: where keys live.

    Raises:
        Unauthorised: if the provider needs one and none is set.
    """
    if source is Source.REHEARSAL:
        return REHEARSAL_KEY
    variable = "AZURE_OPENAI_API_KEY" if spec.provider == "azure" else "OPENAI_API_KEY"
    key = environ.get(variable, "").strip()
    if not key.isascii() or not (key or "x").isprintable():
        raise Unauthorised(f"{variable} holds something that is no key. Mend it on the workers")
    if key:
        return key
    if spec.provider == "azure" or _is_openai(base_url):
        raise Unauthorised(f"{variable} is not set where the workers run. Set it there")
    return NO_KEY


def base_url_of(
    spec: EndpointSpec, *, override: str | None, environ: Mapping[str, str]
) -> str | None:
    """Where the API is: the record's own URL, else the spec's, else OPENAI_BASE_URL, else OpenAI's."""
    if spec.provider == "azure":
        return override or spec.base_url
    return override or spec.base_url or environ.get("OPENAI_BASE_URL", "").strip() or None


class Endpoint:
    """One API with one key; shared by all threads of a worker.

    Args:
        client: of the endpoint, with `max_retries=0`.
        spec: which API it is.
        key: what was given to the client; no error shows it.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        *,
        spec: EndpointSpec,
        key: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._spec, self._clock = client, spec, clock
        self._secret = "" if key in (REHEARSAL_KEY, NO_KEY) else key
        self._renamed: dict[str, set[str]] = {}
        self._own = spec.provider == "azure" or _is_openai(str(client.base_url))

    @classmethod
    def open(cls, spec: EndpointSpec, *, base_url: str | None, key: str) -> Self:
        """Make the client; nothing is sent before the first call.

        Args:
            spec: the study's endpoint.
            base_url: where the API is; None is OpenAI.
            key: sent with every call.
        """
        timeout = httpx2.Timeout(
            spec.timeout_s, connect=CONNECT_TIMEOUT_S, write=WRITE_TIMEOUT_S, pool=POOL_TIMEOUT_S
        )
        limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=100)
        local = key == REHEARSAL_KEY
        http_client = wire.bound(
            openai.DefaultHttpxClient(
                timeout=timeout, limits=limits, trust_env=not local, follow_redirects=False
            )
        )
        if spec.provider == "azure":
            client: openai.OpenAI = openai.AzureOpenAI(
                azure_endpoint=base_url or "",
                api_version=spec.api_version,
                api_key=key,
                max_retries=0,
                http_client=http_client,
            )
        else:
            nobody = "" if local else None  # None: whatever the environment says
            headers = {"Authorization": f"Bearer {key}"} if local else None
            client = openai.OpenAI(
                api_key=key,
                base_url=base_url,
                organization=nobody,
                project=nobody,
                admin_api_key="",
                default_headers=headers,
                max_retries=0,
                http_client=http_client,
            )
        return cls(client, spec=spec, key=key)

    @property
    def name(self) -> str:
        """Where it is, without credentials: what its rate limits are kept under."""
        parts = urlsplit(str(self._client.base_url))
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname or ''}{port}{parts.path.rstrip('/')}".translate(_NO_BRACES)

    @property
    def call_s_max(self) -> float:
        """The longest that a call takes."""
        return self._spec.timeout_s + CALL_MARGIN_S

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, rendered: Rendered, *, model: str, params: Mapping[str, Any], n: int) -> Answer:
        """Ask for n answers, once: whatever fails is not tried again here.

        Args:
            rendered: the prompt.
            model: the provider's name of it (Azure: of the deployment).
            params: the arm's parameters; None is left out.
            n: how many answers.

        Raises:
            CallFailed: one of its kinds, which says whether the call was billed.
        """
        begun_s = self._clock()
        try:
            create, arguments = self._request(rendered, model=model, params=params, n=n)
            with wire.within(self._spec.timeout_s):
                body, limits = self._body(create, arguments)
        except CallFailed:
            raise
        except (openai.APIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as exc:
            failure = translated(exc, key=self._secret)
            if isinstance(failure, OtherName):
                failure = self._other_name(model, failure, sent=arguments)
            raise failure from exc
        return _read(body, latency_s=self._clock() - begun_s, limits=limits)

    def _other_name(self, model: str, failure: OtherName, *, sent: Mapping[str, Any]) -> CallFailed:
        """Ask this model with the other name from now on; one that takes neither is refused."""
        name = "max_completion_tokens" if "max_completion_tokens" in sent else "max_tokens"
        if self._spec.api == "completions" or model in self._renamed.get(name, ()):
            return Refused(failure.reason)
        self._renamed.setdefault(_OTHER_NAME[name], set()).add(model)
        return failure

    def _max_tokens_name(self, model: str) -> str:
        for name, models in self._renamed.items():
            if model in models:
                return name
        return "max_completion_tokens" if self._own else "max_tokens"

    def _request(
        self, rendered: Rendered, *, model: str, params: Mapping[str, Any], n: int
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        create: Any
        given = {name: value for name, value in params.items() if value is not None}
        if n > 1:
            given["n"] = n
        if self._spec.api == "completions":
            if not isinstance(rendered, str):
                raise Refused("the completions API takes a text, and this template is messages")
            given = {"prompt": rendered, **given}
            known, create = _known(TextCompletions), self._client.completions
        else:
            given = {"messages": templates.as_messages(rendered), **given}
            if "max_tokens" in given:
                given[self._max_tokens_name(model)] = given.pop("max_tokens")
            known, create = _known(ChatCompletions), self._client.chat.completions
        others = {name: given.pop(name) for name in set(given) - known}
        extra = {**others, **given.pop("extra_body", {})}
        arguments = {"model": model, **given, "extra_body": extra or None}
        return create.with_streaming_response.create, arguments

    def _body(self, create: Callable[..., Any], arguments: dict[str, Any]) -> tuple[bytes, Limits]:
        """The answer's bytes: read as they come, so that neither time nor size is without an end."""
        body = bytearray()  # not the pieces: each byte may come as one
        with create(**arguments) as response:
            limits = announced.limits(response.headers)
            for piece in response.iter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    raise InDoubt(f"the answer is larger than {ANSWER_BYTES_MAX:,} bytes")
        return bytes(body), limits


def _read(body: bytes, *, latency_s: float, limits: Limits) -> Answer:
    """Read an answer; what is not one was paid for all the same, as far as anybody knows."""
    if sum(map(body.count, (b"{", b"[", b","))) > VALUES_MAX:
        raise InDoubt(f"the answer holds more than {VALUES_MAX:,} values")
    try:
        data = json.loads(body)
        completions = tuple(_completion(choice) for choice in data["choices"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise InDoubt(f"the endpoint answered 200 with garbage ({type(exc).__name__})") from exc
    if not completions:
        raise InDoubt("the endpoint answered 200 without a single choice")
    return Answer(
        completions=completions,
        usage=_usage(data.get("usage"), said=any(one.text for one in completions)),
        model=str(data.get("model") or "")[:200],
        fingerprint=str(data.get("system_fingerprint") or "")[:200],
        latency_s=latency_s,
        announced=limits,
    )


def _completion(choice: Mapping[str, Any]) -> Completion:
    text = choice["message"].get("content") if "message" in choice else choice["text"]
    if text is not None and not isinstance(text, str):
        raise TypeError("content is not a text")
    # No content: a refusal, or reasoning that used up all tokens.
    return Completion(text=text or "", finish_reason=str(choice.get("finish_reason") or "")[:50])


def _usage(usage: object, *, said: bool) -> Usage | None:
    """The provider's count; None where it is none, or says that something was nothing."""
    if not isinstance(usage, dict):
        return None
    counts: dict[str, Any] = {
        name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")
    }
    if not all(type(count) is int and 0 <= count <= TOKENS_MAX for count in counts.values()):
        return None
    if not counts["prompt_tokens"] or (said and not counts["completion_tokens"]):
        return None
    return Usage(**counts)


@lru_cache(maxsize=2)
def _known(resource: type[ChatCompletions] | type[TextCompletions]) -> frozenset[str]:
    """The parameters that the client knows by name; it can only pass on the others."""
    return frozenset(inspect.signature(resource.create).parameters) - {
        "self", "stream", "extra_headers", "extra_query", "timeout",
    }  # fmt: skip


def _is_openai(base_url: str | None) -> bool:
    host = urlsplit(base_url).hostname or "" if base_url else "api.openai.com"
    return host == "openai.com" or host.endswith(".openai.com")

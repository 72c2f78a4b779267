"""Every way in which a call can fail, with the rule of each; separate, since the rules are about money.

CallFailed
+-- NotBilled         provably not billed: the reservation is released
|   +-- Refused       the provider refuses this configuration: it fails, the study goes on
|   +-- Forbidden     nothing can be bought: the study stops at once, resumable
|   |   +-- Unauthorised   the key or the project
|   |   +-- OutOfQuota     the quota, the credit or a spend limit
|   |   +-- Misconfigured  [endpoint] names an address or an api_version that the provider has not
|   +-- RateLimited   the fleet pauses for this model, then tries again
|   +-- Unavailable   tried again, a bounded number of times
|   |   +-- OtherName     max_tokens has another name for this model: asked again under that one
+-- Filtered          a content filter stopped the prompt: settled in full, an answer without a text
+-- Overlong          prompt and answers exceed the context: settled in full, this configuration fails
+-- InDoubt           nobody knows what was billed: settled in full, then tried again
"""

import email.utils
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2
import openai

from study.rate_limit import Limits
from study.secrets import HIDDEN, hidden
from workers import announced

REASON_CHARACTERS_MAX: Final = 300
"""As much of the provider's words as a result keeps."""
OUT_OF_QUOTA: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "project_spend_limit_exceeded",
        "organization_spend_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    }
)
"""Codes that come as 429, and are not transient."""
_KEYLIKE: Final = re.compile(r"\b(?:sk|rk|pk|sess)-[\w*.-]{4,}|(?i:bearer)\s+[\w*.~+/=-]{4,}")
FILTERED: Final = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
"""Codes of a 400 that speak of one example's content; Azure bills the prompt, and maybe an answer."""
OVERLONG: Final = frozenset({"context_length_exceeded", "string_above_max_length"})
"""Codes of a 400 that Azure may bill, too ("input limit")."""
NO_SUCH_API: Final = frozenset(
    {"InvalidApiVersionParameter", "MissingApiVersionParameter", "UnsupportedApiVersion", "404"}
)
"""Azure's codes where the address or the api-version is wrong; a missing deployment has a code of its own."""
_NO_API_VERSION: Final = re.compile(
    r"\bapi[- ]?version\b.{0,60}\b(not supported|invalid|missing|required)\b", re.IGNORECASE
)
NOT_NOW: Final = frozenset({409, 423, 424, 425})
"""Statuses that speak of the moment, not of the configuration."""
MAX_TOKENS_NAMES: Final = frozenset({"max_tokens", "max_completion_tokens"})
UNKNOWN_PARAMETER: Final = frozenset({"unsupported_parameter", "unknown_parameter"})
"""Codes of a 400 that knows no parameter of that name; a value out of range has another."""
_UNKNOWN_MAX_TOKENS: Final = re.compile(
    r"(Unrecognized request argument supplied: |Unsupported parameter: .)max_(completion_)?tokens\b"
)
_UNSENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
"""What fails before the request's first byte leaves."""


class CallFailed(Exception):
    """The call brought no answers; `reason` says why, in the provider's words where it has any."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotBilled(CallFailed):
    """The provider has provably not billed the call."""


class Refused(NotBilled):
    """The provider refuses the model, a parameter or the prompt."""


class Forbidden(NotBilled):
    """Nothing can be bought."""


class Unauthorised(Forbidden):
    """The provider does not accept the key, or the key may not do this."""


class OutOfQuota(Forbidden):
    """The account's quota, credit or spend limit is used up."""


class Misconfigured(Forbidden):
    """The provider knows no such address or api_version: no configuration is to blame."""


class RateLimited(NotBilled):
    """Too much was asked of the provider; `retry_after_s` is its own wish, if it said one.

    `announced` is what the refusal's headers say of its limits.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after_s: float | None = None,
        announced: Limits = announced.NOTHING,
    ) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.announced = announced


class Unavailable(NotBilled):
    """The provider can't be reached, or says itself that it can't answer now."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class OtherName(Unavailable):
    """The model takes `max_tokens` as `max_completion_tokens`, or the other way round."""


class Filtered(CallFailed):
    """A content filter stopped this prompt: in use there would be no answer either; it may be billed."""


class Overlong(CallFailed):
    """Prompt and answers together exceed what the model takes; it may be billed."""


class InDoubt(CallFailed):
    """The call may have been billed: it was cut off, or answered with something that is no answer."""


def redacted(text: str, *, secrets: tuple[str, ...] = ()) -> str:
    """A text without what is, or looks like, a key."""
    return _KEYLIKE.sub(HIDDEN, hidden(text, others=secrets))


def translated(exc: Exception, *, key: str, clock: Callable[[], float] = time.time) -> CallFailed:
    """The failure that an exception of the client means.

    Args:
        exc: what the client, or the reading of its answer, raised.
        key: the key that was sent; no reason shows it.
        clock: the time in seconds since the epoch, for a Retry-After that is a date.
    """
    if isinstance(exc, openai.APIStatusError):
        return _of_status(exc, key=key, clock=clock)
    cause = exc.__cause__ if isinstance(exc, openai.APIConnectionError) else exc
    reason = _shortened(f"{type(cause).__name__}: {cause}", key=key)
    if isinstance(cause, _UNSENT):
        return Unavailable(f"the endpoint can't be reached ({reason})")
    return InDoubt(f"the call was cut off ({reason})")


def _of_status(exc: openai.APIStatusError, *, key: str, clock: Callable[[], float]) -> CallFailed:
    status, error = exc.status_code, _error_object(exc.response)
    words = _shortened(f"{status}: {error.get('message') or exc.response.text[:1000]}", key=key)
    codes = {str(error.get("code")), str(error.get("type"))}
    retry_after_s = _retry_after_s(exc.response.headers, clock=clock)
    if status == 402 or (status in (400, 403, 429) and codes & OUT_OF_QUOTA):
        return OutOfQuota(words)
    if status == 429:
        limits = announced.limits(exc.response.headers)
        return RateLimited(words, retry_after_s=retry_after_s, announced=limits)
    if status in (401, 403):
        # A project without access to one model is a matter of that model.
        return Refused(words) if "model_not_found" in codes else Unauthorised(words)
    if status in (500, 503) and error:
        return Unavailable(words, retry_after_s=retry_after_s)
    if status == 408 or status >= 500:
        return InDoubt(words)
    if (
        status in NOT_NOW or not error
    ):  # in a proxy's words, or nobody's: no fault of the configuration
        return Unavailable(words, retry_after_s=retry_after_s)
    if codes & FILTERED:
        return Filtered(words)
    if codes & OVERLONG:
        return Overlong(words)
    if status in (400, 404) and (codes & NO_SUCH_API or _NO_API_VERSION.search(words)):
        return Misconfigured(f"{words} Mend [endpoint] base_url or api_version")
    is_unknown = str(error.get("param")) in MAX_TOKENS_NAMES and codes & UNKNOWN_PARAMETER
    if is_unknown or _UNKNOWN_MAX_TOKENS.search(words):
        return OtherName(words)
    return Refused(words)


def _error_object(response: httpx2.Response) -> Mapping[str, Any]:
    """The API's own error body; empty where something else answered."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    error = body.get("error", body) if isinstance(body, dict) else {}
    if isinstance(error, str):
        return {"message": error}
    if not isinstance(error, dict):
        return {}
    if isinstance(error.get("message"), str):
        return error
    if response.status_code != 404 and error.get("detail"):  # FastAPI's; its 404 is a wrong path
        return {"message": str(error["detail"])}
    return {}


def _retry_after_s(headers: Mapping[str, str], *, clock: Callable[[], float]) -> float | None:
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            wait_s = float(text) * unit_s
        except ValueError:
            date = email.utils.parsedate_tz(text)
            try:
                wait_s = -1.0 if date is None else email.utils.mktime_tz(date) - clock()
            except (ValueError, OverflowError):  # a year or a day that is none
                continue
        if 0 <= wait_s < float("inf"):
            return wait_s
    return None


def _shortened(text: str, *, key: str) -> str:
    # Redacted first: a cut through a key would leave a part that no longer looks like one.
    return redacted(" ".join(text.split()), secrets=(key,))[:REASON_CHARACTERS_MAX]

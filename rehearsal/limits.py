"""The endpoint's own rate limits: what it lets pass in any minute, and what its headers say of it."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rehearsal.errors import ApiError

MINUTE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What one model takes per minute; None is no limit."""

    requests: int | None = None
    tokens: int | None = None

    @classmethod
    def of(cls, limit: tuple[int | None, int | None]) -> Limit:
        """Read a limit from its two numbers."""
        return cls(requests=limit[0], tokens=limit[1])


@dataclass(kw_only=True)
class Window:
    """The calls that a model let pass in the last minute: when, and for how many tokens."""

    passed: deque[tuple[float, int]] = field(default_factory=deque)
    tokens: int = 0


@dataclass(kw_only=True)
class Limiter:
    """Counts the calls of the last minute, whichever one that is: no burst, no grace."""

    limits: Mapping[str, Limit]
    _windows: dict[str, Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, model: str, *, tokens: int, now_s: float) -> dict[str, str]:
        """Let a call pass and count it.

        Args:
            model: Whose limit.
            tokens: The prompt's, and all that the answers may have: providers count before they answer.
            now_s: The time in seconds.

        Returns:
            The headers that announce the limit; none where there is none.

        Raises:
            ApiError: A 429 with Retry-After and the same headers; the call is not counted.
        """
        limit = self.limits.get(model)
        if limit is None:
            return {}
        with self._lock:
            window = self._windows.setdefault(model, Window())
            while window.passed and window.passed[0][0] <= now_s - MINUTE_S:
                window.tokens -= window.passed.popleft()[1]
            if wait_s := self._wait_s(limit, window, tokens, now_s):
                raise ApiError(
                    429,
                    f"Rate limit reached for {model}. Please try again in {wait_s:.3f}s.",
                    kind="requests",
                    code="rate_limit_exceeded",
                    retry_after_s=wait_s,
                    headers=self._headers(limit, window, now_s),
                )
            window.passed.append((now_s, tokens))
            window.tokens += tokens
            return self._headers(limit, window, now_s)

    @staticmethod
    def _wait_s(limit: Limit, window: Window, tokens: int, now_s: float) -> float:
        """How long until the call fits; 0.0 where it does. One that never fits alone passes alone."""
        calls, used, fits_at_s = len(window.passed), window.tokens, now_s
        for at_s, of_it in window.passed:
            requests_fit = limit.requests is None or calls < limit.requests
            if requests_fit and (limit.tokens is None or used + tokens <= limit.tokens):
                break
            calls, used, fits_at_s = calls - 1, used - of_it, at_s + MINUTE_S
        return max(0.0, fits_at_s - now_s)

    @staticmethod
    def _headers(limit: Limit, window: Window, now_s: float) -> dict[str, str]:
        whole_s = window.passed[-1][0] + MINUTE_S - now_s if window.passed else 0.0
        headers = {}
        for what, most, used in (
            ("requests", limit.requests, len(window.passed)),
            ("tokens", limit.tokens, window.tokens),
        ):
            if most is not None:
                headers[f"x-ratelimit-limit-{what}"] = str(most)
                headers[f"x-ratelimit-remaining-{what}"] = str(max(0, most - used))
                headers[f"x-ratelimit-reset-{what}"] = duration(whole_s)
        return headers


def duration(seconds: float) -> str:
    """A duration as OpenAI writes it: `120ms`, `8.64s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:.3f}".rstrip("0").rstrip(".") + "s"

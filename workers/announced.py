"""Announced: the rate limits that an answer's headers name; apart, since providers differ in them."""

import re
from collections.abc import Mapping
from typing import Final

from study.rate_limit import Limits

NOTHING: Final = Limits()
"""No header names a limit."""
LIMIT_MAX: Final = 10**9
"""Above it a limit is none."""
MINUTE_S_MAX: Final = 61.0
"""A limit that takes longer than that to be whole again is one of an hour or a day, and no rate."""
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def limits(headers: Mapping[str, str]) -> Limits:
    """The limits per minute that an answer's headers announce.

    Args:
        headers: of the answer; `x-ratelimit-limit-requests`, `x-ratelimit-reset-requests` (how long
            until all of it is free again) and the same of tokens are read.
    """
    return Limits(
        requests_per_minute=_limit(headers, "requests"),
        tokens_per_minute=_limit(headers, "tokens"),
    )


def seconds(text: str) -> float | None:
    """A duration such as `120ms`, `6m0s`, `1h2m3.5s` or `7`; None where it is none."""
    text = text.strip()
    try:
        plain = float(text)
    except ValueError:
        parts = _PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            return None
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return plain if 0 <= plain < float("inf") else None


def _limit(headers: Mapping[str, str], what: str) -> int | None:
    text = headers.get(f"x-ratelimit-limit-{what}", "").strip()
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 0 < int(text) <= LIMIT_MAX:
        return None
    whole_again_s = seconds(headers.get(f"x-ratelimit-reset-{what}", ""))
    if whole_again_s is not None and whole_again_s > MINUTE_S_MAX:
        return None
    return int(text)

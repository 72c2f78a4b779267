"""RateLimit: requests and tokens per minute of one model, shared by the whole fleet (GCRA)."""

from typing import Final

from study import keys, scripts
from study.connection import Client

MINUTE_MS: Final = 60_000
BURST_MS: Final = 1_000
"""How much of the allowance may be used at once."""
PAUSE_MS_MAX: Final = 120_000
"""The longest pause a server's Retry-After can impose on the fleet."""


def increment_ms(per_minute: int | None) -> float:
    """What one request (or token) adds to the arrival time; 0.0 where there is no limit.

    A GCRA admits `(window + burst) / increment` in a window: with the burst counted in, no minute,
    wherever it begins, sees more than the limit.
    """
    return (MINUTE_MS + BURST_MS) / per_minute if per_minute else 0.0


class RateLimit:
    """The limit of one model at one endpoint.

    Args:
        redis: a client with `decode_responses=True`.
        model: the model's name.
        requests_per_minute: None where there is no limit.
        tokens_per_minute: None where there is no limit; prompt and worst-case output are counted.
    """

    def __init__(
        self,
        redis: Client,
        model: str,
        *,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
    ) -> None:
        self._redis, self._model = redis, model
        self._ms_per_request = increment_ms(requests_per_minute)
        self._ms_per_token = increment_ms(tokens_per_minute)
        self._admit = scripts.load(redis, "admit")

    def admit(self, tokens: int) -> float:
        """Ask for leave to make a call.

        Returns:
            Seconds to wait before asking again; 0.0 where the call may be made now (it is counted).
        """
        names = [keys.rate(self._model, what) for what in ("requests", "tokens", "pause")]
        wait_ms = self._admit(names, [self._ms_per_request, self._ms_per_token, tokens, BURST_MS])
        return float(wait_ms) / 1000

    def pause(self, seconds: float) -> None:
        """Hold the whole fleet back from this model, as a 429's Retry-After asks.

        A longer pause under way stays.
        """
        key = keys.rate(self._model, "pause")
        pause_ms = int(min(max(seconds, 0.0) * 1000, PAUSE_MS_MAX))
        if pause_ms > max(0, self._redis.pttl(key)):
            now_s, now_us = self._redis.time()
            until = now_s * 1000 + now_us // 1000 + pause_ms
            self._redis.set(key, until, px=pause_ms)

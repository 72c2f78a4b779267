"""RateLimit: what one model at one endpoint takes per minute, shared by the whole fleet (GCRA)."""

from dataclasses import dataclass
from typing import Final

from study import keys, scripts
from study.connection import Client

MINUTE_MS: Final = 60_000
SLACK_MS: Final = 1_400
"""Added to the minute: room for the burst, and for calls that arrive later than their turn; costs 2.3 %."""
BURST_MS: Final = 100
"""How much of the allowance may be used at once."""
UNKNOWN_MS: Final = 200
"""Between calls while no answer has shown what the provider announces: a fleet begins with a few calls."""
PACE_MS: Final = 10
"""Between calls after a 429, doubled by each further spell: a pause must not end in a burst."""
PACE_MS_MAX: Final = 5_000
PAUSE_MS: Final = 500
"""The shortest pause; doubled by each further spell of 429s that name no time."""
PAUSE_MS_MAX: Final = 120_000
"""The longest pause that a server can impose on the fleet; then one asks again."""
SPELL_MS: Final = 60_000
"""How long after a pause's end a further 429 counts as worse, and not as new."""
AGAIN_MS_MAX: Final = 300_000
"""The longest that anybody is told to wait before asking again."""
LEARNED_MS: Final = 3_600_000
"""What was learned is forgotten after so long without a call."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a provider announces for a model; None where it names no limit per minute."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Leave to make a call, `wait_s` from now.

    Void if it lies within a pause by then, or was booked in ignorance and the limits are known by then.

    `at_ms` is when it is, on Redis's clock; `learned` what the fleet knows of the
    provider's limits, None where no answer has shown them yet; it is `ignorant` where the study file
    says nothing either.
    """

    wait_s: float
    at_ms: float
    learned: Limits | None
    ignorant: bool


@dataclass(frozen=True, kw_only=True)
class Later:
    """No turn is near: ask again in `wait_s`."""

    wait_s: float


class RateLimit:
    """The limit of one model at one endpoint.

    Args:
        redis: a client with `decode_responses=True`.
        endpoint: where the model answers, without any credentials; a rehearsal's limit is its own.
        model: the model's name.
        requests_per_minute: None: as learned from the provider, if it announces one.
        tokens_per_minute: the same; prompt and worst-case output are counted, as providers do.
    """

    def __init__(
        self,
        redis: Client,
        *,
        endpoint: str,
        model: str,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
    ) -> None:
        self._redis = redis
        self._limits = [requests_per_minute or 0, tokens_per_minute or 0]
        self._arrivals = [keys.rate(endpoint, model, what) for what in ("requests", "tokens")]
        self._again, self._paused, self._learned = (
            keys.rate(endpoint, model, what) for what in ("again", "pause", "learned")
        )
        self._book = scripts.load(redis, "book")
        self._pause = scripts.load(redis, "pause")
        self._learn = scripts.load(redis, "learn")

    def book(self, tokens: int, *, wait_s_max: float) -> Turn | Later:
        """Take the next turn, if it is near enough; it is counted then.

        Args:
            tokens: what the provider will count the call for.
            wait_s_max: how long the caller can wait for its turn.
        """
        names = [*self._arrivals, self._again, self._paused, self._learned]
        found = self._book(names, [*self._limits, *arguments(tokens, wait_s_max)])
        if found[0] == "later":
            return Later(wait_s=int(found[1]) / 1000)
        _, wait_ms, at_ms, known, requests, of_tokens = found
        learned = Limits(
            requests_per_minute=int(requests) or None, tokens_per_minute=int(of_tokens) or None
        )
        return Turn(
            wait_s=int(wait_ms) / 1000,
            at_ms=float(at_ms),
            learned=learned if known else None,
            ignorant=not known and not any(self._limits),
        )

    def stands(self, turn: Turn) -> bool:
        """Whether a turn is not void; looked at after its wait."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(self._paused, "until")
            pipe.exists(self._learned)
            pause, known = pipe.execute()
        return float(pause or 0) <= turn.at_ms and not (turn.ignorant and known)

    def pause(self, asked_s: float | None) -> float:
        """Hold the whole fleet back from this model, after a 429.

        Args:
            asked_s: what its Retry-After asks for; None where it names no time.

        Returns:
            For how long: a longer pause under way stays, and a 429 during it is no further spell.
        """
        asked_ms = -1 if asked_s is None else int(min(max(asked_s, 0.0) * 1000, PAUSE_MS_MAX))
        return int(self._pause([self._paused], [asked_ms, PAUSE_MS, PAUSE_MS_MAX, SPELL_MS])) / 1000

    def learn(self, announced: Limits, *, known: Limits | None) -> None:
        """Keep what an answer announced, for the whole fleet.

        Args:
            announced: by the answer; nothing, where it had no such headers.
            known: by the fleet, as its turn said; an answer without headers does not undo it.
        """
        if announced == known or (known is not None and announced == Limits()):
            return
        limits = [announced.requests_per_minute or 0, announced.tokens_per_minute or 0]
        self._learn(
            [self._learned, *self._arrivals], [*limits, LEARNED_MS, int(not any(self._limits))]
        )


def arguments(tokens: int, wait_s_max: float) -> list[int]:
    """The script's arguments behind the limits."""
    wait_ms = max(0, int(wait_s_max * 1000))
    slow = [UNKNOWN_MS, PACE_MS, PACE_MS_MAX]
    return [tokens, MINUTE_MS + SLACK_MS, BURST_MS, wait_ms, AGAIN_MS_MAX, *slow, LEARNED_MS]

"""RateLimit: what one model at one endpoint takes per minute, shared by the whole fleet (GCRA)."""

import math
from dataclasses import dataclass
from typing import Final

from study import keys, scripts
from study.connection import Client

MINUTE_MS: Final = 60_000
SLACK_MS: Final = 1_200
"""Added to the minute: room for the burst, and for calls that arrive later than their turn; costs 2 %."""
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
class Load:
    """What a call is counted for: the most that its answers may have, and its prompt.

    Args:
        answers_tokens: the most that the answers may have.
        prompt_tokens: as the provider counted them before, else the most that they can be.
        is_counted: whether the provider did.
    """

    answers_tokens: int
    prompt_tokens: int
    is_counted: bool


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Leave to make a call, `wait_s` from now.

    Void if it lies within a pause by then, or was booked in ignorance and the limits are known by then; also
    if it was booked for the most that prompts can have, and what they do have is known by then.

    `at_ms` is when it is, on Redis's clock; `learned` what the fleet knows of the
    provider's limits, None where no answer has shown them yet; it is `ignorant` where the study file
    says nothing either. `share` is what the fleet knows of the tokens that prompts have, in thousandths of
    the most that they can have: 0 where it knows nothing yet, and None where tokens have no limit.
    """

    wait_s: float
    at_ms: float
    learned: Limits | None
    ignorant: bool
    share: int | None = None

    @property
    def provisional(self) -> bool:
        """Whether it is void once a first answer has told more."""
        return self.ignorant or self.share == 0


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

    def book(self, load: Load | int, *, wait_s_max: float) -> Turn | Later:
        """Take the next turn, if it is near enough; it is counted then.

        Args:
            load: what the provider will count the call for; a number of tokens, where that is known.
            wait_s_max: how long the caller can wait for its turn.
        """
        if isinstance(load, int):
            load = Load(answers_tokens=load, prompt_tokens=0, is_counted=True)
        names = [*self._arrivals, self._again, self._paused, self._learned]
        found = self._book(names, [*self._limits, *arguments(load, wait_s_max)])
        if found[0] == "later":
            return Later(wait_s=int(found[1]) / 1000)
        _, wait_ms, at_ms, known, requests, of_tokens, share = found
        learned = Limits(
            requests_per_minute=int(requests) or None, tokens_per_minute=int(of_tokens) or None
        )
        return Turn(
            wait_s=int(wait_ms) / 1000,
            at_ms=float(at_ms),
            learned=learned if known else None,
            ignorant=not known and not any(self._limits),
            share=int(share) if self._limits[1] or learned.tokens_per_minute else None,
        )

    def stands(self, turn: Turn) -> bool:
        """Whether a turn is not void; looked at after its wait."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(self._paused, "until")
            pipe.hmget(self._learned, "requests", "share")
            pause, (known, share) = pipe.execute()
        is_void = (turn.ignorant and known) or (turn.share == 0 and share)
        return float(pause or 0) <= turn.at_ms and not is_void

    def pause(self, asked_s: float | None) -> float:
        """Hold the whole fleet back from this model, after a 429.

        Args:
            asked_s: what its Retry-After asks for; None where it names no time.

        Returns:
            For how long: a longer pause under way stays, and a 429 during it is no further spell.
        """
        asked_ms = -1 if asked_s is None else int(min(max(asked_s, 0.0) * 1000, PAUSE_MS_MAX))
        return int(self._pause([self._paused], [asked_ms, PAUSE_MS, PAUSE_MS_MAX, SPELL_MS])) / 1000

    def learn(self, announced: Limits, *, known: Limits | None, share: int = 0) -> None:
        """Keep what an answer announced, and how many tokens its prompt had, for the whole fleet.

        Args:
            announced: by the answer; nothing, where it had no such headers.
            known: by the fleet, as its turn said; an answer without headers does not undo it.
            share: as `share_of` says; 0 where that is no news.
        """
        is_news = announced != known and not (known is not None and announced == Limits())
        if not is_news and not share:
            return
        limits = [announced.requests_per_minute or 0, announced.tokens_per_minute or 0]
        self._learn(
            [self._learned, *self._arrivals],
            [*limits, LEARNED_MS, int(not any(self._limits)), int(is_news), share],
        )


def share_of(load: Load, counted: int | None, *, turn: Turn, announced: Limits) -> int:
    """The tokens of a call's prompt, in thousandths of the most that it could have.

    Args:
        load: that the turn was booked for.
        counted: the prompt's tokens, as the provider counted them; None where it did not say.
        turn: what the fleet knew.
        announced: by the call's answer.

    Returns:
        0 where the fleet knows of a larger one, or nobody limits tokens.
    """
    is_limited = turn.share is not None or announced.tokens_per_minute is not None
    if counted is None or load.is_counted or not load.prompt_tokens or not is_limited:
        return 0
    share = min(1000, math.ceil(1000 * counted / load.prompt_tokens))
    return share if share > (turn.share or 0) else 0


def arguments(load: Load, wait_s_max: float) -> list[int]:
    """The script's arguments behind the limits."""
    wait_ms = max(0, int(wait_s_max * 1000))
    slow = [UNKNOWN_MS, PACE_MS, PACE_MS_MAX]
    counted = [load.answers_tokens, load.prompt_tokens, int(load.is_counted)]
    waits = [MINUTE_MS + SLACK_MS, BURST_MS, wait_ms, AGAIN_MS_MAX]
    return [counted[0] + counted[1], *waits, *slow, LEARNED_MS, *counted, SPELL_MS]

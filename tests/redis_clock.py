"""A clock of the test's own for the scripts of the rate limit: no stall of the machine counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from study.connection import Client
from study.rate_limit import RateLimit

FIRST_MS: Final = 1_000_000
REDIS_CLOCK: Final = "redis.call('TIME')"
SCRIPTS: Final = {"book": 1, "pause": 1, "learn": 0}
"""The rate limit's, and how often each asks for the time."""
KEPT: Final = """
local function kept(verb, ...) -- by its own clock Redis would end a key too soon for ours, on a slow machine
  local words = {...}
  if verb == 'PEXPIRE' or words[3] == 'PX' then words[#words] = 600000 end
  return redis.call(verb, unpack(words))
end
"""


@dataclass
class Clocked:
    """Redis with a clock of ours, so that minutes pass at once, and none unasked."""

    client: Client
    now_ms: float = FIRST_MS

    def at(self, now_ms: float) -> None:
        """Set the clock."""
        self.now_ms = now_ms
        s, us = divmod(round(now_ms * 1000), 10**6)
        with self.client.pipeline() as pipe:
            pipe.hset("clock", mapping={"s": s, "us": us})
            pipe.expire("clock", 600)
            pipe.execute()

    def later(self, ms: float) -> None:
        """Let time pass."""
        self.at(self.now_ms + ms)

    def limit(
        self, requests: int | None = None, tokens: int | None = None, *, model: str = "m"
    ) -> RateLimit:
        """A model's limit."""
        return RateLimit(
            self.client,
            endpoint="host/v1",
            model=model,
            requests_per_minute=requests,
            tokens_per_minute=tokens,
        )


def on_our_clock(source: Callable[[str], str]) -> Callable[[str], str]:
    """The texts of scripts, those of the rate limit with our clock for Redis's."""

    def text(verb: str) -> str:
        if verb not in SCRIPTS:
            return source(verb)
        assert source(verb).count(REDIS_CLOCK) == SCRIPTS[verb], verb
        ours = source(verb).replace(REDIS_CLOCK, "redis.call('HMGET', 'clock', 's', 'us')")
        return KEPT + ours.replace("redis.call(", "kept(")

    return text

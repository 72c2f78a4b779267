"""Clocked: Redis with a clock of ours: minutes pass at once, also for its TTLs, and it can be put back.

The rate limit's scripts see this clock, and the keys that they write live by it; a machine that stalls
changes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from study import scripts
from study.connection import Client
from study.rate_limit import RateLimit

FIRST_MS: Final = 1_000_000_000.0
VERBS: Final = ("book", "pause", "learn")
LIVES_S: Final = 3_600
"""What our keys live by the real clock: longer than any test."""
PRELUDE: Final = f"""
local call, by_then = redis.call, tonumber(ARGV[#ARGV])
for _, key in ipairs(KEYS) do
  if tonumber(call('HGET', 'clock:ends', key) or by_then + 1) <= by_then then
    call('DEL', key)
    call('HDEL', 'clock:ends', key)
  end
end
local redis = {{call = function(verb, key, ...)
  if verb == 'TIME' then
    return {{string.format('%.0f', math.floor(by_then / 1000)), string.format('%.0f', by_then % 1000 * 1000)}}
  end
  local words = {{...}}
  local lasts = verb == 'PEXPIRE' and 1 or verb == 'SET' and words[2] == 'PX' and 3
  if lasts then
    call('HSET', 'clock:ends', key, by_then + words[lasts])
    words[lasts] = {LIVES_S * 1000}
  end
  return call(verb, key, unpack(words))
end}}
"""
"""Goes before each script, whose last argument is the time: keys end, and TTLs are kept by our clock."""


@dataclass
class Clocked:
    """What the clock says (ms); it stands still until it is set."""

    client: Client
    now_ms: float = FIRST_MS

    def at(self, now_ms: float) -> None:
        """Set the clock."""
        self.now_ms = now_ms

    def later(self, ms: float) -> None:
        """Let time pass, or go back."""
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


@contextmanager
def on_our_clock(client: Client) -> Iterator[Clocked]:
    """Let the rate limit's scripts see a clock of ours."""
    clock, source, load = Clocked(client), scripts.source, scripts.load

    def ours(verb: str) -> str:
        return PRELUDE + source(verb) if verb in VERBS else source(verb)

    def clocked(redis: Client, verb: str) -> scripts.Script:
        run = load(redis, verb)
        if verb not in VERBS:
            return run
        return lambda names, arguments: run(names, [*arguments, f"{clock.now_ms:.3f}"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "source", ours)
        patch.setattr(scripts, "load", clocked)
        yield clock
    client.delete("clock:ends")

"""PaidCall: what money bought. Stored before it is settled, so that nothing is paid for twice."""

import json
from dataclasses import asdict, dataclass
from typing import Final

from study import keys, scripts
from study.connection import Client
from study.prices import Usage

STORED: Final = "stored"
"""What the script answers where it kept an answer."""


@dataclass(frozen=True, kw_only=True)
class CallId:
    """Which draws of which arm and example a call is for: the same call has the same id everywhere.

    It buys draws `first_draw`, ..., `first_draw + draws - 1`.
    """

    arm: str
    example: str
    first_draw: int
    draws: int

    def __str__(self) -> str:
        return f"{self.arm}/{self.example}/{self.span}"

    @property
    def span(self) -> str:
        """Which draws, in a word."""
        return f"{self.first_draw}+{self.draws}"

    def attempt(self, number: int) -> str:
        """The id of the reservation of one attempt on the wire."""
        return f"{self}#{number}"


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One answer; `tokens` is None where the provider counts only the whole call's."""

    text: str
    finish_reason: str
    tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class PaidCall:
    """The answers of one call, as stored: enough to score them again and to settle them again.

    `fingerprint` is the provider's `system_fingerprint`; `model` the name it answered under.
    """

    reservation: str
    completions: tuple[Completion, ...]
    usage: Usage
    cost_nanodollars: int
    model: str
    fingerprint: str
    latency_s: float

    def to_json(self) -> str:
        """As stored in Redis."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "PaidCall":
        """Read what `to_json` wrote."""
        data = json.loads(text)
        data["completions"] = tuple(Completion(**c) for c in data["completions"])
        data["usage"] = Usage(**data["usage"])
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class Begun:
    """This worker makes the call, as attempt `number` (1, 2, ...)."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Another worker, `holder`, is making this call, unless it has died."""

    holder: str


class PaidCalls:
    """The paid calls of one study.

    Args:
        redis: a client with `decode_responses=True`.
        study: the study's id.
    """

    def __init__(self, redis: Client, study: str) -> None:
        self._redis, self._study = redis, study
        self._begin = scripts.load(redis, "begin_call")
        self._end = scripts.load(redis, "end_call")

    def find(self, call: CallId) -> PaidCall | None:
        """The call, if it is paid for."""
        found = self._redis.hget(self._key(call), call.span)
        return None if found is None else PaidCall.from_json(found)

    def begin(
        self, call: CallId, *, holder: str, claim_ms: int, instead_of: str = ""
    ) -> Begun | Busy | PaidCall:
        """Claim a call, unless it is paid for or another worker is making it.

        Args:
            call: which draws.
            holder: a name for this attempt, unique among all workers and threads.
            claim_ms: longer than the call can take; a dead worker's claim ends by itself.
            instead_of: a holder known to be dead, whose claim is taken over.

        Returns:
            The paid call, if there is one; Begun, with the number of the attempt (a repeat by the
            same holder answers the same); Busy, if another holder is at it.
        """
        claim, attempts = keys.claim(self._study, str(call)), keys.attempts(self._study)
        word, value = self._begin(
            [claim, attempts, self._key(call)],
            [str(call), call.span, holder, claim_ms, instead_of],
        )
        if word == "paid":
            return PaidCall.from_json(value)
        if word == "busy":
            return Busy(holder=value)
        return Begun(number=int(value))

    def store(self, call: CallId, paid: PaidCall, *, holder: str) -> bool:
        """Keep the answer of a call and end the claim; a repeat changes nothing.

        Returns:
            Whether it was kept; if not, an earlier answer stands, and is the one to score.
        """
        return self._finish(call, holder, paid.to_json()) == STORED

    def queue_store(self, pipe: Client, call: CallId, paid: PaidCall, *, holder: str) -> None:
        """`store`, among the commands of a pipeline; it answers `STORED` there, or another word."""
        names = [keys.claim(self._study, str(call)), self._key(call)]
        scripts.queue(pipe, "end_call", names, [call.span, holder, paid.to_json()])

    def abandon(self, call: CallId, *, holder: str) -> None:
        """End the claim on a call that bought nothing, so that another attempt may begin."""
        self._finish(call, holder, "")

    def bought(self, arm: str, example: str) -> list[PaidCall]:
        """All paid calls of an arm and example, in the order of their draws."""
        return list(self._bought(arm, example).values())

    def texts(self, arm: str, example: str) -> dict[int, str]:
        """The answers paid for, by draw and in their order."""
        return {
            first_draw + i: completion.text
            for first_draw, call in self._bought(arm, example).items()
            for i, completion in enumerate(call.completions)
        }

    def _bought(self, arm: str, example: str) -> dict[int, PaidCall]:
        """The same as `bought`, each under its first draw."""
        found = self._redis.hgetall(keys.paid_calls(self._study, arm, example))
        spans = sorted(found, key=lambda span: [int(number) for number in span.split("+")])
        return {int(span.partition("+")[0]): PaidCall.from_json(found[span]) for span in spans}

    def _finish(self, call: CallId, holder: str, answer: str) -> str:
        claim = keys.claim(self._study, str(call))
        return str(self._end([claim, self._key(call)], [call.span, holder, answer]))

    def _key(self, call: CallId) -> str:
        return keys.paid_calls(self._study, call.arm, call.example)

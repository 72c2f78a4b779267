"""Cuts: what answers would have been under a smaller max_tokens or with more stop strings; pure.

An answer's beginning does not depend on where it ends, so that whatever was paid for in full was paid for
cut as well. A cut is an arm: the one that would have given the shorter answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from study import worst_case
from study.config import Arm
from study.domains import Choice, Domain
from study.space import SearchSpace

LIMITS: Final = 6
"""Smaller values of max_tokens that are looked at, over the whole of the space's range."""
STOPS_MAX: Final = 4
CUTS_MAX: Final = LIMITS + STOPS_MAX
"""The most cuts that an arm has."""
MARGIN: Final = 0.9
"""Where tokens can't be seen, of a limit's share of the text so much is taken to be kept."""
AGREES: Final = 0.05
"""A tokenizer's count that is further from the bill than this is not the provider's."""
BYTES_PER_TOKEN_MIN: Final = 2.0
"""Fewer say that more was billed than can be read: a limit then falls on thoughts, and leaves no text."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A text, and the tokens that were billed for it."""

    text: str
    tokens: float


def of(space: SearchSpace, arm: Arm) -> tuple[Arm, ...]:
    """The cuts of an arm, the longest first: each is an arm of the space, with one parameter changed."""
    limits = _limits(space.params["max_tokens"], arm.max_tokens)
    stops = _stops(space.params.get("stop"), strings(arm))
    changes: list[dict[str, Any]] = [{"max_tokens": limit} for limit in limits]
    changes += [{"stop": stop} for stop in stops]
    return tuple(
        Arm(model=arm.model, template=arm.template, params={**arm.params, **change})
        for change in changes
    )


def strings(arm: Arm) -> tuple[str, ...]:
    """An arm's stop strings."""
    stop = arm.params.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _limits(domain: Domain, arms: int) -> list[int]:
    """Smaller values of max_tokens: of a range, a ladder from its upper end to its lower one."""
    if isinstance(domain, Choice):
        smaller = sorted({int(value) for value in domain.values if value < arms}, reverse=True)
        return smaller[:LIMITS]
    ratio = domain.low / domain.high
    ladder = {round(domain.high * ratio ** (k / LIMITS)) for k in range(1, LIMITS + 1)}
    return sorted((limit for limit in ladder if limit < arms), reverse=True)


def _stops(domain: Domain | None, arms: Sequence[str]) -> list[Any]:
    """The choices that hold all of an arm's stop strings, and more."""
    if not isinstance(domain, Choice):
        return []
    return [value for value in domain.values if value and set(value) > set(arms)][:STOPS_MAX]


class Cutter:
    """Cuts the answers of one call.

    Where a tokenizer is at hand and agrees with the bill, tokens are counted and cut by it; else a call's
    tokens are shared out by bytes, and a limit is taken for a tenth less than it says.

    Args:
        texts: of the call.
        tokens: that were billed for all of them.
        model: whose they are.
    """

    def __init__(self, texts: Sequence[str], tokens: int, *, model: str) -> None:
        self._encoding = worst_case.encoding(model)
        counts = [self._count(text) for text in texts]
        total = sum(counts)
        self._thoughts = False
        if self._encoding is not None and abs(total - tokens) > AGREES * tokens + len(texts):
            self._thoughts, self._encoding = total < tokens, None
            counts = [self._count(text) for text in texts]
            total = sum(counts)
        self._thoughts |= total < BYTES_PER_TOKEN_MIN * tokens and self._encoding is None
        self._margin = 1.0 if self._encoding is not None or len(set(texts)) == 1 else MARGIN
        share = tokens / total if total else 0.0
        self.answers = [
            Answer(text=text, tokens=share * count)
            for text, count in zip(texts, counts, strict=True)
        ]
        if not total and texts:
            self.answers = [Answer(text="", tokens=tokens / len(texts)) for _ in texts]

    def cut(self, answer: Answer, arm: Arm) -> Answer:
        """An answer as the arm would have given it; the same object, where nothing is different."""
        found = self._stopped(answer, strings(arm))
        return self._limited(found, arm.max_tokens)

    def _stopped(self, answer: Answer, stop: Sequence[str]) -> Answer:
        ends = [end for end in (answer.text.find(string) for string in stop) if end >= 0]
        if not ends:
            return answer
        text = answer.text[: min(ends)]
        if self._thoughts:  # who knows what the text's own share is
            return Answer(text=text, tokens=answer.tokens)
        share = self._count(text) / max(1, self._count(answer.text))
        return Answer(text=text, tokens=answer.tokens * share)

    def _limited(self, answer: Answer, limit: int) -> Answer:
        kept = min(answer.tokens, float(limit))
        if answer.tokens <= self._margin * limit:
            return answer
        if self._encoding is not None:
            ids = self._encoding.encode(answer.text, disallowed_special=())[:limit]
            return Answer(text=self._encoding.decode(ids, errors="ignore"), tokens=kept)
        if self._thoughts:
            return Answer(text="", tokens=kept)
        characters = int(len(answer.text) * MARGIN * limit / answer.tokens)
        return Answer(text=answer.text[:characters], tokens=kept)

    def _count(self, text: str) -> int:
        if self._encoding is None:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(self._encoding.encode(text, disallowed_special=()))

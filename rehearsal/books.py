"""The stand-in's own books: what it was asked and what it billed, kept apart from everything it says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple

NANODOLLARS_PER_TOKEN = 1000
"""A dollar per million tokens is a thousand nanodollars per token."""


class Price(NamedTuple):
    """What a model costs, in dollars per million tokens."""

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal

    @classmethod
    def of(cls, price: tuple[Any, Any]) -> Price:
        """Read a price from two numbers; a float means what it prints as."""
        return cls(*(Decimal(str(part)) for part in price))

    def bill_nanodollars(self, *, prompt_tokens: int, completion_tokens: int) -> int:
        """Price a call exactly, rounded up to a whole nanodollar once per call."""
        usd_tokens = (
            self.input_usd_per_mtok * prompt_tokens + self.output_usd_per_mtok * completion_tokens
        )
        exact = usd_tokens * NANODOLLARS_PER_TOKEN
        return int(exact.to_integral_value(rounding=ROUND_CEILING))


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One billed call. `delivered` tells whether the client was sent the whole answer.

    `arrived_s` is on a clock that only goes forward; `tokens_asked` is what a rate limit counts it for.
    """

    id: str
    model: str
    problem: str
    n: int
    prompt_tokens: int
    completion_tokens: int
    nanodollars: int
    delivered: bool = False
    arrived_s: float = 0.0
    tokens_asked: int = 0


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What one model was asked and billed."""

    calls: int = 0
    completed: int = 0
    billed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    billed_nanodollars: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: count + getattr(other, name) for name, count in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Books:
    """The books at one instant.

    Attributes:
        calls: Requests for completions that arrived, whatever became of them.
        completed: Those whose whole answer was sent.
        most_at_once: The most requests for completions that were ever in flight together.
        by_model: The same figures for each model (requests that named an unknown model left out).
        by_status: Requests by HTTP status; "cut" where the connection was cut without one.
        records: Every billed call, in the order of billing.
    """

    calls: int
    completed: int
    billed_calls: int
    prompt_tokens: int
    completion_tokens: int
    billed_nanodollars: int
    most_at_once: int
    in_flight: int
    by_model: Mapping[str, Tally]
    by_status: Mapping[str, int]
    records: tuple[CallRecord, ...]

    @property
    def billed_usd(self) -> Decimal:
        """All that was billed, in dollars."""
        return Decimal(self.billed_nanodollars).scaleb(-9)

    def as_stats(self) -> dict[str, Any]:
        """Return the JSON of `/_stats`: everything but the single calls."""
        figures = {name: value for name, value in vars(self).items() if name != "records"}
        return {
            **figures,
            "billed_usd": str(self.billed_usd),
            "by_model": {model: asdict(tally) for model, tally in self.by_model.items()},
            "by_status": dict(self.by_status),
        }


class Bookkeeper:
    """Writes the books; any thread may read them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all = Tally()
        self._by_model: dict[str, Tally] = {}
        self._by_status: Counter[str] = Counter()
        self._records: list[CallRecord] = []
        self._in_flight = 0
        self._most_at_once = 0

    def arrive(self) -> None:
        """Write down that a request for completions arrived."""
        with self._lock:
            self._all += Tally(calls=1)
            self._in_flight += 1
            self._most_at_once = max(self._most_at_once, self._in_flight)

    def leave(self, outcome: str) -> None:
        """Write down how a request ended: its HTTP status or "cut"."""
        with self._lock:
            self._in_flight -= 1
            self._by_status[outcome] += 1

    def ask(self, model: str) -> None:
        """Write down which known model an arrived request names."""
        with self._lock:
            self._by_model[model] = self._by_model.get(model, Tally()) + Tally(calls=1)

    def bill(self, record: CallRecord) -> int:
        """Write down a billed call, before its answer is sent; return its number in the records."""
        tally = Tally(
            billed_calls=1,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            billed_nanodollars=record.nanodollars,
        )
        with self._lock:
            self._records.append(record)
            self._add(record.model, tally)
            return len(self._records) - 1

    def deliver(self, number: int) -> None:
        """Write down that the whole answer of the billed call of this number was sent."""
        with self._lock:
            record = self._records[number] = replace(self._records[number], delivered=True)
            self._add(record.model, Tally(completed=1))

    def _add(self, model: str, tally: Tally) -> None:
        self._all += tally
        self._by_model[model] = self._by_model.get(model, Tally()) + tally

    def read(self) -> Books:
        """Return the books as they stand."""
        with self._lock:
            return Books(
                **vars(self._all),
                most_at_once=self._most_at_once,
                in_flight=self._in_flight,
                by_model=dict(self._by_model),
                by_status=dict(self._by_status),
                records=tuple(self._records),
            )

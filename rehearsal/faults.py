"""Faults on request: what goes wrong, when, and how it looks on the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from rehearsal.chance import unit
from rehearsal.errors import ApiError, invalid_value

FaultKind = Literal[
    "429",  # rate limited, with Retry-After where the fault has one
    "insufficient_quota",  # also a 429, and fatal
    "500",
    "503",
    "cut_before",  # the connection is cut and nothing was processed or billed
    "cut_after",  # processed and billed, then the connection is cut: the answer is lost
    "slow",  # the answer comes delay_s later
    "garbage",  # 200, billed, and a body that says it is JSON and is not
    "web_page",  # 200, billed, and a page of HTML
    "no_choices",  # 200, billed, and a body without "choices"
    "empty_choices",  # 200, billed, and "choices": []
    "fewer_choices",  # 200, billed in full, and one choice less than asked for
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong with a share of the calls, or with the next few.

    Attributes:
        kind: What goes wrong.
        probability: How often; ignored where `next` is given.
        next: How many of the next calls it happens to; None is the probability's choice.
        retry_after_s: What a 429 or 503 says in Retry-After; None is no such header.
        delay_s: How much later a slow answer comes.
    """

    kind: FaultKind
    probability: float = 1.0
    next: int | None = None
    retry_after_s: float | None = None
    delay_s: float = 0.0

    @classmethod
    def of(cls, fault: Fault | Mapping[str, Any]) -> Fault:
        """Read a fault from the JSON of `/_faults`.

        Raises:
            ApiError: A 400 that names the field.
        """
        if isinstance(fault, Fault):
            return fault
        if not isinstance(fault, Mapping) or fault.get("kind") not in FAULT_KINDS:
            raise invalid_value("kind", f"A fault has a kind, one of {', '.join(FAULT_KINDS)}.")
        unknown = set(fault) - set(cls.__dataclass_fields__)
        if unknown:
            raise invalid_value(min(unknown), f"A fault has no {min(unknown)!r}.")
        for name, value in fault.items():
            if name != "kind" and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise invalid_value(name, f"{name} must be a number, not {value!r}.")
        return cls(**fault)


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """What the faults have in store for one call: at most one of a kind, and a delay."""

    kind: FaultKind | None = None
    retry_after_s: float | None = None
    delay_s: float = 0.0

    def refusal(self) -> ApiError | None:
        """Return the error status that the call gets instead of an answer, if it does."""
        if self.kind == "429":
            return ApiError(
                429,
                "Rate limit reached. Please try again later.",
                kind="requests",
                code="rate_limit_exceeded",
                retry_after_s=self.retry_after_s,
            )
        if self.kind == "insufficient_quota":
            return ApiError(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                kind="insufficient_quota",
                code="insufficient_quota",
            )
        if self.kind == "500":
            return ApiError(500, "The server had an error.", kind="server_error")
        if self.kind == "503":
            return ApiError(
                503,
                "The server is overloaded.",
                kind="service_unavailable_error",
                retry_after_s=self.retry_after_s,
            )
        return None


@dataclass(kw_only=True)
class FaultPlan:
    """The faults in force; any thread may set them."""

    seed: int = 0
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, faults: Iterable[Fault | Mapping[str, Any]]) -> None:
        """Put these faults in the place of those in force."""
        read = [Fault.of(fault) for fault in faults]
        with self._lock:
            self._faults = read

    def read(self) -> list[Fault]:
        """Return the faults in force, the used up ones with `next` 0."""
        with self._lock:
            return list(self._faults)

    def strike(self, call: int) -> Mishap:
        """Decide what happens to a call.

        Args:
            call: The number of the call; chance depends on it and the seed.

        Returns:
            The first fault that strikes, on top of the delay of every slow one that does.
        """
        delay_s = 0.0
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.next is None:
                    strikes = unit(self.seed, "fault", index, call) < fault.probability
                else:
                    strikes = fault.next > 0
                if not strikes:
                    continue
                if fault.next is not None:
                    self._faults[index] = replace(fault, next=fault.next - 1)
                delay_s += fault.delay_s
                if fault.kind != "slow":
                    return Mishap(
                        kind=fault.kind, retry_after_s=fault.retry_after_s, delay_s=delay_s
                    )
        return Mishap(delay_s=delay_s)

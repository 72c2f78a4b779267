"""Faults on request: what goes wrong, when, and how it looks on the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from rehearsal.chance import unit
from rehearsal.errors import ApiError, invalid_value

FaultKind = Literal[
    "400",  # a parameter is refused
    "401",
    "402",
    "403",
    "404",  # the model does not exist
    "408",
    "429",  # rate limited, with Retry-After where the fault has one
    "insufficient_quota",  # also a 429, and fatal; and so the next three
    "credit_balance_exhausted",
    "project_spend_limit_exceeded",
    "organization_spend_limit_exceeded",
    "500",
    "502",  # a gateway's page
    "503",
    "504",  # a gateway's page
    "prompt_filter",  # a 400 since the prompt went against the content policy
    "prompt_too_long",  # a 400 since prompt and answers exceed the context
    "unsupported_value",  # a 400 since a reasoning model takes no temperature but 1
    "other_name",  # a 400 since the model knows max_tokens under another name
    "deployment_not_found",  # Azure's 404 for a model that is not deployed
    "api_version",  # Azure's 404 for a wrong address or api-version
    "cut_before",  # the connection is cut and nothing was processed or billed
    "cut_after",  # processed and billed, then the connection is cut: the answer is lost
    "slow",  # the answer comes delay_s later
    "garbage",  # 200, billed, and a body that says it is JSON and is not
    "web_page",  # 200, billed, and a page of HTML
    "no_choices",  # 200, billed, and a body without "choices"
    "empty_choices",  # 200, billed, and "choices": []
    "fewer_choices",  # 200, billed in full, and one choice less than asked for
    "content_filter",  # 200, billed, and no content: finish_reason is content_filter
    "snapshot",  # an answer under the name of a newer snapshot of the model
    "no_usage",  # an answer without "usage"
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
ANSWERS: frozenset[FaultKind] = frozenset({"content_filter", "snapshot", "no_usage"})
"""What is odd, and an answer all the same."""
REFUSALS: Mapping[FaultKind, tuple[int, str, str | None]] = {
    "400": (400, "Unsupported parameter: 'temperature'.", "unsupported_parameter"),
    "401": (401, "Incorrect API key provided.", "invalid_api_key"),
    "402": (402, "Payment required.", "payment_required"),
    "403": (403, "Your country is not supported.", "unsupported_country_region_territory"),
    "404": (404, "The model does not exist.", "model_not_found"),
    "408": (408, "Request timeout.", None),
    "429": (429, "Rate limit reached. Please try again later.", "rate_limit_exceeded"),
    "insufficient_quota": (429, "You exceeded your current quota.", "insufficient_quota"),
    "credit_balance_exhausted": (429, "Your credit is used up.", "credit_balance_exhausted"),
    "project_spend_limit_exceeded": (
        429, "The project's spend limit is reached.", "project_spend_limit_exceeded",
    ),
    "organization_spend_limit_exceeded": (
        429, "The organization's spend limit is reached.", "organization_spend_limit_exceeded",
    ),
    "500": (500, "The server had an error.", None),
    "503": (503, "The server is overloaded.", None),
    "prompt_filter": (400, "The prompt was filtered by the content policy.", "content_filter"),
    "unsupported_value": (
        400, "Unsupported value: 'temperature' does not support 0.7 with this model.", "unsupported_value",
    ),
    "other_name": (
        400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "unsupported_parameter",
    ),
    "deployment_not_found": (404, "The API deployment does not exist.", "DeploymentNotFound"),
    "api_version": (404, "Resource not found", "404"),
    "prompt_too_long": (400, "The maximum context length is exceeded.", "context_length_exceeded"),
}  # fmt: skip
"""Status, message and code of the errors in the API's own form."""
GATEWAY: Mapping[FaultKind, int] = {"502": 502, "504": 504}
"""Errors of something between client and endpoint, which says them in HTML."""


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
        if self.kind is None or self.kind not in REFUSALS:
            return None
        status, message, code = REFUSALS[self.kind]
        kind = "server_error" if status >= 500 else code or "invalid_request_error"
        return ApiError(status, message, kind=kind, code=code, retry_after_s=self.retry_after_s)


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

"""A program and what became of it: the values that go into a sandbox and come out of one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A test of a whole script: what it is given to read, and what it must print.

    Attributes:
        stdin: all of its standard input.
        stdout: its standard output; spaces at the ends of lines and of the whole don't count.
    """

    stdin: str
    stdout: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """One completion made into a program, and what judges it: a check, or exchanges.

    Attributes:
        source: defines the entry point (prompt and completion), or is a script. Untrusted; any text.
        check: trusted code, run after the source with its names at hand; it passes if it returns.
            It is run in a process of its own, which calls the program, wherever that can be done.
        trusted: the source is our own (see `sandbox.seal`). Only `ProcessSandbox` asks for it.
        exchanges: the source is run as a script for each, until one fails; then there is no check.
    """

    source: str
    check: str = ""
    trusted: bool = False
    exchanges: tuple[Exchange, ...] = ()


class Outcome(StrEnum):
    """How a program ended. Every one of these is data; a fault of the sandbox is `SandboxError`."""

    passed = "passed"  # the check returned
    failed = "failed"  # an exception came out of the source or the check
    left_early = "left_early"  # the process left before the check returned: sys.exit, os._exit...
    timed_out = "timed_out"
    oom_killed = "oom_killed"  # the kernel killed it for want of memory
    killed = "killed"  # another signal ended it


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The verdict on one program.

    Attributes:
        outcome: how the program ended.
        exception: the name of the exception's type, where one came out.
        detail: one printable line on what happened, bounded by `Limits.detail_chars`.
        apart: what was judged was values, by a process that the program could not reach.
        duration_s: from the source's delivery to the verdict, in seconds of the wall's clock.
    """

    outcome: Outcome
    exception: str | None = None
    detail: str = ""
    duration_s: float = 0.0
    apart: bool = False

    @property
    def passed(self) -> bool:
        """Whether the runner saw the check return."""
        return self.outcome is Outcome.passed

    @property
    def verdict(self) -> str:
        """The verdict in one word: `pass`, `timeout` or `fail:<the exception's or outcome's name>`."""
        if self.passed:
            return "pass"
        if self.outcome is Outcome.timed_out:
            return "timeout"
        return f"fail:{self.exception or self.outcome}"

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold; `from_dict` reads it back."""
        return {
            "outcome": self.outcome.value,
            "exception": self.exception,
            "detail": self.detail,
            "duration_s": round(self.duration_s, 6),
            "apart": self.apart,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunResult":
        """Reads what `to_dict` wrote.

        Raises:
            ValueError: on an outcome that does not exist.
            TypeError: on a field that does not exist.
        """
        return cls(**{**values, "outcome": Outcome(values["outcome"])})

"""What the sandbox could not do; apart from the results, so that a fault is never taken for a verdict."""

from collections.abc import Mapping

_LOOK = "Run `python -m sandbox` on this host to see what is wrong."


class SandboxError(Exception):
    """The sandbox could not run the programs: their verdicts are unknown, not zero.

    Attributes:
        cause: what happened, in words.
        remedy: what to do next.
    """

    def __init__(self, cause: str, remedy: str = _LOOK) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"The sandbox could not run the programs: {self.cause}. {self.remedy}"


class UnusableSetting(SandboxError):
    """What a study asks for in `[sandbox]` can't be had from this host's engine, or breaks a promise there.

    Attributes:
        settings: what it asks for: image, runtime, packages.
    """

    def __init__(self, settings: Mapping[str, object], cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.settings = dict(settings)

    def __str__(self) -> str:
        asked = " and ".join(f"sandbox.{name} = {value!r}" for name, value in self.settings.items())
        return f"{asked}: {self.cause}. {self.remedy}"


class OutOfMemory(SandboxError):
    """The container as a whole ran out of memory, and the kernel ended the runner with it.

    One program can bring that about (it may lower its own oom_score_adj), but so can other things:
    only where it happens again, in containers in which nothing else has run, is it the program's doing.
    """

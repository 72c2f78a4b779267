"""What the sandbox could not do; apart from the results, so that a fault is never taken for a verdict."""

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


class OutOfMemory(SandboxError):
    """The container as a whole ran out of memory, and the kernel ended the runner with it.

    One program can bring that about (it may lower its own oom_score_adj), but so can other things:
    only where it happens again, in containers in which nothing else has run, is it the program's doing.
    """

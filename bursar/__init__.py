"""bursar finds the cheapest way to get good answers from an LLM API, under a dollar budget.

`tune` finds a configuration, `create` asks for answers with it, `test` evaluates it on examples.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bursar.analysis import Analysis, TrialResult
    from bursar.api import create, rehearsal, tune
    from bursar.api import evaluate as test
    from bursar.completion import Response, extract_text
    from bursar.domains import choice, lograndint, loguniform, randint, uniform
    from bursar.verdicts import python_tests
    from study.errors import (
        BudgetTooSmall,
        BursarError,
        CredentialsError,
        DataError,
        InfrastructureError,
        Interrupted,
        SpecError,
        StudyBusy,
        UnknownStudy,
    )

__all__ = [
    "Analysis",
    "BudgetTooSmall",
    "BursarError",
    "CredentialsError",
    "DataError",
    "InfrastructureError",
    "Interrupted",
    "Response",
    "SpecError",
    "StudyBusy",
    "TrialResult",
    "UnknownStudy",
    "choice",
    "create",
    "extract_text",
    "lograndint",
    "loguniform",
    "python_tests",
    "randint",
    "rehearsal",
    "test",
    "tune",
    "uniform",
]

_HOMES: Final = {
    "bursar.analysis": ("Analysis", "TrialResult"),
    "bursar.api": ("create", "rehearsal", "test", "tune"),
    "bursar.completion": ("Response", "extract_text"),
    "bursar.domains": ("choice", "lograndint", "loguniform", "randint", "uniform"),
    "bursar.verdicts": ("python_tests",),
}
"""Where each name lives, except the errors, which all live in one module."""


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: the command, which asks for none, starts at once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = [home for home, names in _HOMES.items() if name in names]
    module = importlib.import_module(homes[0] if homes else "study.errors")
    found = getattr(module, "evaluate" if name == "test" else name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)

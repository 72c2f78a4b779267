"""bursar finds the cheapest way to get good answers from an LLM API, under a dollar budget.

`tune` finds a configuration, `create` asks for answers with it, `test` evaluates it on examples.
"""

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

"""The errors a user can meet, in one tree, since the command's exit codes are a promise.

BursarError
+-- SpecError             exit 2   the study file or an argument is wrong
+-- DataError             exit 2   the dataset is wrong
+-- UnknownStudy          exit 2   no such study in this Redis
+-- BudgetTooSmall        exit 3   not even one evaluation can be paid
+-- InfrastructureError   exit 4   Redis, the broker, the workers or the sandbox failed
|   +-- StudyBusy         exit 4   another coordinator drives the study
|   +-- RedisRefuses      exit 4   the password, the rights or the certificates are wrong
+-- CredentialsError      exit 4   the provider refuses the key, the quota or the project
+-- Interrupted           exit 130 the user stopped it; it can be resumed
"""

from typing import Final

VALUE_CHARACTERS_MAX: Final = 120
"""As much of a wrong value as a message shows."""
SENTENCE_CHARACTERS_MAX: Final = 600
"""As much of a sentence: names and numbers in it may be of any length."""


class Absent:
    """The value of a field that has none: its type, so that null can still be a value."""


ABSENT: Final = Absent()


class BursarError(Exception):
    """Something the user can act on; the message says what to do next."""

    exit_code = 4


class SpecError(BursarError):
    """`{field} = {value}: {problem}. {Remedy}.`; without a value, `{field} {problem}. {Remedy}.`"""

    exit_code = 2

    def __init__(self, *, field: str, problem: str, remedy: str, value: object = ABSENT) -> None:
        field = _cut(field or "''")
        problem, remedy = (
            _cut(problem, SENTENCE_CHARACTERS_MAX),
            _cut(remedy, SENTENCE_CHARACTERS_MAX),
        )
        self.field, self.problem, self.remedy = field, problem, remedy
        self.value = None if value is ABSENT else value
        subject = field if value is ABSENT else f"{field} = {shown(value)}:"
        super().__init__(f"{subject} {problem}. {_sentence(remedy)}")


class DataError(SpecError):
    """The dataset cannot be used as the study asks."""


class UnknownStudy(BursarError):
    """There is no study of this id in this Redis; `bursar list` shows those there are."""

    exit_code = 2

    def __init__(self, study: str) -> None:
        self.study = study
        super().__init__(
            f"there is no study {study!r} in this Redis. `bursar list` shows those there are; "
            "BURSAR_REDIS_URL chooses the Redis"
        )


class SettingsError(BursarError):
    """What the study file asks for can't be had where its evaluations run."""

    exit_code = 2


class BudgetTooSmall(BursarError):
    """The budget can't pay for one evaluation."""

    exit_code = 3


class InfrastructureError(BursarError):
    """A part that evaluations stand on (Redis, the broker, the workers, the sandbox) failed."""


class RedisRefuses(InfrastructureError):
    """Redis is there, and doesn't let us in: to wait for it is of no use."""


class StudyBusy(InfrastructureError):
    """Another coordinator drives this study."""


class CredentialsError(BursarError):
    """The provider refuses the key, the quota or the project: nothing can be bought with it."""


class Interrupted(BursarError):
    """The user stopped the study; what was paid for is kept, and `bursar resume` goes on."""

    exit_code = 130


class NotBegun(Interrupted):
    """The user stopped it while it waited for the coordinator before it to end."""


def shown(value: object) -> str:
    """A value as a message shows it: cut where it is long."""
    try:
        return _cut(repr(value))
    except (
        ValueError,
        RecursionError,
    ):  # an int of thousands of digits; lists in lists without end
        return f"({type(value).__name__})"


def _cut(text: str, characters_max: int = VALUE_CHARACTERS_MAX) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 3] + "..."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")

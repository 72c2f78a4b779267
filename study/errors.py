"""The errors a user can meet, in one tree, since the command's exit codes are a promise.

BursarError
+-- SpecError             exit 2   the study file or an argument is wrong
+-- DataError             exit 2   the dataset is wrong
+-- UnknownStudy          exit 2   no such study in this Redis
+-- BudgetTooSmall        exit 3   not even one evaluation can be paid
+-- InfrastructureError   exit 4   Redis, the broker, the workers or the sandbox failed
|   +-- StudyBusy         exit 4   another coordinator drives the study
+-- CredentialsError      exit 4   the provider refuses the key, the quota or the project
+-- Interrupted           exit 130 the user stopped it; it can be resumed
"""


class BursarError(Exception):
    """Something the user can act on; the message says what to do next."""

    exit_code = 4


class SpecError(BursarError):
    """`{field}` is {value}: {problem}. {remedy}."""

    exit_code = 2

    def __init__(self, *, field: str, value: object, problem: str, remedy: str) -> None:
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy
        shown = repr(value)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        super().__init__(f"{field} = {shown}: {problem}. {remedy}")


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


class BudgetTooSmall(BursarError):
    """The budget can't pay for one evaluation."""

    exit_code = 3


class InfrastructureError(BursarError):
    """A part that evaluations stand on (Redis, the broker, the workers, the sandbox) failed."""


class StudyBusy(InfrastructureError):
    """Another coordinator drives this study."""


class CredentialsError(BursarError):
    """The provider refuses the key, the quota or the project: nothing can be bought with it."""


class Interrupted(BursarError):
    """The user stopped the study; what was paid for is kept, and `bursar resume` goes on."""

    exit_code = 130

"""Errors: sentences for people, numbers for the shell."""

import pytest

from study import errors
from study.errors import SpecError


def test_a_wrong_value_is_shown_with_problem_and_remedy_as_sentences() -> None:
    error = SpecError(field="a.b", value=3, problem="too small", remedy="raise it")
    assert str(error) == "a.b = 3: too small. Raise it."
    assert (error.field, error.value) == ("a.b", 3)
    assert (error.problem, error.remedy) == ("too small", "raise it")


def test_a_field_without_a_value_is_not_shown_as_none() -> None:
    error = SpecError(field="a.b", problem="is missing", remedy="add it!")
    assert str(error) == "a.b is missing. Add it!"
    assert error.value is None


def test_a_value_of_null_is_a_value() -> None:
    assert "a = None: " in str(SpecError(field="a", value=None, problem="p", remedy="r"))


def test_a_long_value_is_cut() -> None:
    error = SpecError(field="a", value="x" * 10_000, problem="p", remedy="r")
    assert len(str(error)) < errors.VALUE_CHARACTERS_MAX + 30


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SpecError, 2),
        (errors.DataError, 2),
        (errors.UnknownStudy, 2),
        (errors.BudgetTooSmall, 3),
        (errors.InfrastructureError, 4),
        (errors.StudyBusy, 4),
        (errors.CredentialsError, 4),
        (errors.Interrupted, 130),
    ],
)
def test_the_exit_codes_are_those_promised(error: type[errors.BursarError], code: int) -> None:
    assert error.exit_code == code
    assert error.__name__ in (errors.__doc__ or "")
    assert issubclass(error, errors.BursarError)

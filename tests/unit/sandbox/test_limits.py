import dataclasses

import pytest

from sandbox import Limits


def test_the_defaults_are_valid_limits():
    limits = Limits()
    assert limits.timeout_s == 3.0
    assert limits.memory_mb == 256


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
@pytest.mark.parametrize("value", [-1, "3", None, float("nan"), float("inf"), True, 10**12])
def test_a_limit_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["memory_mb", "pids", "open_files", "scratch_mb"])
def test_a_fraction_of_a_whole_thing_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        Limits(**{name: 64.5})


def test_the_container_gets_more_memory_than_a_program():
    limits = Limits(memory_mb=100, scratch_mb=10)
    assert limits.container_mb > 110

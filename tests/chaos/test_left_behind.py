"""The look for what is left finds it: a check that can't fail would say nothing."""

import os
from contextlib import closing

import pytest

from sandbox import Limits, Program, open_sandbox

from . import left_behind

PROGRAM = Program(source="def f():\n    return 1\n", check="assert f() == 1\n")


@pytest.mark.docker
def test_a_container_is_found_by_its_study_and_by_its_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(left_behind, "PATIENT_S", 0.0)
    with (
        closing(open_sandbox()) as sandbox,
        sandbox.prepare(study="left-behind", limits=Limits(), deadline_s=600) as box,
    ):
        assert [result.verdict for result in box.run([PROGRAM])] == ["pass"]
        assert list(left_behind.containers("left-behind", []))
        assert list(left_behind.containers("another", [os.getpid()]))
        assert not list(left_behind.containers("another", []))
    monkeypatch.undo()
    assert not list(left_behind.containers("left-behind", [os.getpid()]))

"""What a self-check makes of what its program did."""

import pytest

from sandbox import Outcome, RunResult
from sandbox.selfcheck import PROBES, Probe


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_program_that_is_let_through_where_it_should_be_stopped_breaks_its_promise(probe: Probe):
    for outcome in (Outcome.passed, Outcome.failed, Outcome.oom_killed, Outcome.left_early):
        as_expected = outcome is probe.expected and probe.exception is None
        assert probe.judge(RunResult(outcome=outcome)).ok == as_expected

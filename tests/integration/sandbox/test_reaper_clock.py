"""A worker's own clock does not decide about others' containers."""

import time

import pytest

from sandbox import Limits, Program, open_sandbox, reap
from sandbox.engine import connect

pytestmark = pytest.mark.docker


def test_a_worker_whose_clock_is_ahead_removes_nobodys_containers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_sandbox().prepare(study="clock", limits=Limits(), deadline_s=120) as box:
        assert box.run([Program(source="", check="")])
        really = time.time
        monkeypatch.setattr(time, "time", lambda: really() + 86_400)
        client = connect()
        try:
            reap(client)
        finally:
            client.close()
        assert box.run([Program(source="", check="assert True")])[0].verdict == "pass"

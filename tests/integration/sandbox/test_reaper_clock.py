"""A worker's own clock does not decide about containers, and what it gave up is not kept."""

import os
import time
from contextlib import closing

import pytest
import requests

from sandbox import DockerSandbox, Limits, Program, SandboxError, open_sandbox, owner, reap
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


def test_a_worker_whose_clock_is_behind_keeps_its_containers_and_hears_how_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As beside an engine on another machine: it is that machine's time that counts."""
    really, study = time.time, f"behind-{os.getpid()}"
    monkeypatch.setattr(time, "time", lambda: really() - 86_400)
    with (
        closing(connect()) as client,
        open_sandbox().prepare(study=study, limits=Limits(), deadline_s=120) as box,
    ):
        assert box.run([Program(source="", check="")])
        reap(client)
        assert box.run([Program(source="", check="")])
        [container] = client.api.containers(filters={"label": f"{owner.STUDY}={study}"})
        client.api.kill(container["Id"])
        with pytest.raises(SandboxError, match="exit code 137"):
            box.run([Program(source="", check="")])


def test_a_container_that_came_of_a_call_long_given_up_is_reaped_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A daemon that hung does what it was asked, when nobody waits for the answer any more."""
    sandbox = open_sandbox()
    assert isinstance(sandbox, DockerSandbox)
    api = sandbox._client.api
    create = api.create_container

    def too_late(*args: object, **options: object) -> None:
        create(*args, **options)
        raise requests.ReadTimeout("read timed out")

    with closing(connect()) as client:

        def left() -> list[str]:
            asked = {"label": f"{owner.STUDY}={study}"}
            return [one["Id"] for one in client.api.containers(all=True, filters=asked)]

        study = f"late-{os.getpid()}"
        monkeypatch.setattr(api, "create_container", too_late)
        box = sandbox.prepare(study=study, limits=Limits(), deadline_s=600)
        with pytest.raises(SandboxError, match="timed out"):
            box.run([])
        assert len(left()) == 1
        assert set(left()) <= set(reap(client))
        assert left() == []
        box.close()
    sandbox.close()

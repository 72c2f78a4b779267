"""Boxes on the real engine: what they answer, how they are walled, and that nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from sandbox import Limits, Program, Sandbox, SandboxError, owner, reap

pytestmark = pytest.mark.docker

RIGHT = Program(source="def f(x):\n    return x + 1\n", check="assert f(1) == 2")
WRONG = Program(source="def f(x):\n    return x\n", check="assert f(1) == 2")
LIMITS = Limits(timeout_s=2.0, memory_mb=128)
GONE_WITHIN_S = 30.0


def containers(engine: docker.DockerClient, study: str) -> list[str]:
    found = engine.api.containers(all=True, filters={"label": f"{owner.STUDY}={study}"})
    return [container["Id"] for container in found]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GONE_WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.1)


def test_each_program_gets_its_own_verdict_in_order(sandbox: Sandbox, study: str):
    with sandbox.prepare(study=study, limits=LIMITS, deadline_s=60) as box:
        verdicts = [result.verdict for result in box.run([RIGHT, WRONG, RIGHT])]
        assert verdicts == ["pass", "fail:AssertionError", "pass"]
        assert box.run([]) == []
        assert box.run([RIGHT])[0].passed


def test_a_failure_says_what_and_where(sandbox: Sandbox, study: str):
    broken = Program(source="x = 1\ny = x / 0\n", check="pass")
    with sandbox.prepare(study=study, limits=LIMITS, deadline_s=60) as box:
        wrong, zero = box.run([WRONG, broken])
    assert wrong.detail == "AssertionError: (line 1 of check)"
    assert zero.detail == "ZeroDivisionError: division by zero (line 2 of program)"


def test_leaving_a_box_removes_its_container_whatever_happened(
    sandbox: Sandbox, engine: docker.DockerClient, study: str
):
    def fail_inside() -> None:
        with sandbox.prepare(study=study, limits=LIMITS, deadline_s=60) as box:
            box.run([RIGHT])
            assert len(containers(engine, study)) == 1
            raise LookupError

    with pytest.raises(LookupError):
        fail_inside()
    assert containers(engine, study) == []


def test_a_box_that_was_never_used_is_removed_too(
    sandbox: Sandbox, engine: docker.DockerClient, study: str
):
    sandbox.prepare(study=study, limits=LIMITS, deadline_s=60).close()
    assert containers(engine, study) == []


def test_preparing_a_box_does_not_wait_for_it(sandbox: Sandbox, study: str):
    begin = time.monotonic()
    with sandbox.prepare(study=study, limits=LIMITS, deadline_s=60):
        assert time.monotonic() - begin < 0.05


def test_a_closed_box_runs_nothing(sandbox: Sandbox, study: str):
    box = sandbox.prepare(study=study, limits=LIMITS, deadline_s=60)
    box.close()
    box.close()
    with pytest.raises(SandboxError, match="closed"):
        box.run([RIGHT])


def test_the_engine_walls_the_container_in(
    sandbox: Sandbox, engine: docker.DockerClient, study: str
):
    limits = Limits(memory_mb=100, scratch_mb=10, pids=12, cpus=0.5)
    with sandbox.prepare(study=study, limits=limits, deadline_s=60) as box:
        box.run([RIGHT])
        seen = engine.api.inspect_container(containers(engine, study)[0])
    host = seen["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert host["Memory"] == host["MemorySwap"] == limits.container_mb << 20
    assert host["PidsLimit"] == limits.pids + 4
    assert host["NanoCpus"] == 500_000_000
    assert host["CapDrop"] == ["ALL"]
    assert sorted(host["CapAdd"]) == ["CHOWN", "KILL", "SETGID", "SETUID"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]  # and no seccomp=unconfined
    assert not host["Privileged"]
    assert not host["Binds"]
    assert not seen["Mounts"]
    assert seen["Config"]["Labels"][owner.STUDY] == study
    assert "OPENAI_API_KEY" not in json.dumps(seen["Config"]["Env"])


def test_a_program_over_its_limits_leaves_its_siblings_verdicts_alone(sandbox: Sandbox, study: str):
    greedy = Program(
        source="import mmap\nx = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): x[i] = 1",
        check="pass",
    )
    endless = Program(source="def f(x):\n    while True: pass\n", check="assert f(1) == 2")
    programs = [RIGHT, greedy, RIGHT, WRONG, endless, RIGHT, WRONG]
    with sandbox.prepare(study=study, limits=LIMITS, deadline_s=120) as box:
        results = box.run(programs)
    wrong = "fail:AssertionError"
    expected = ["pass", "fail:oom_killed", "pass", wrong, "timeout", "pass", wrong]
    assert [result.verdict for result in results] == expected


def test_two_hundred_programs_share_a_container(sandbox: Sandbox, study: str):
    with sandbox.prepare(study=study, limits=LIMITS, deadline_s=60) as box:
        results = box.run([RIGHT, WRONG] * 100)
    assert [result.passed for result in results] == [True, False] * 100


def test_threads_share_a_sandbox_and_keep_their_verdicts(sandbox: Sandbox, study: str):
    said: dict[int, list[str]] = {}

    def work(number: int) -> None:
        programs = [
            Program(source=f"def f(x):\n    return x + {n}\n", check=f"assert f(1) == {number}")
            for n in range(6)
        ]
        with sandbox.prepare(study=study, limits=LIMITS, deadline_s=60) as box:
            said[number] = [result.verdict for result in box.run(programs)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(1, 7):
        expected = ["pass" if n == number - 1 else "fail:AssertionError" for n in range(6)]
        assert said[number] == expected


def test_a_container_ends_by_itself_at_its_deadline(
    sandbox: Sandbox, engine: docker.DockerClient, study: str
):
    with sandbox.prepare(study=study, limits=LIMITS, deadline_s=8) as box:
        box.run([RIGHT])
        wait_until(lambda: containers(engine, study) == [])
        with pytest.raises(SandboxError, match="deadline"):
            box.run([RIGHT])


def test_a_container_that_was_removed_is_a_fault_with_its_cause(
    sandbox: Sandbox, engine: docker.DockerClient, study: str
):
    with sandbox.prepare(study=study, limits=LIMITS, deadline_s=60) as box:
        box.run([RIGHT])
        engine.api.kill(containers(engine, study)[0])
        with pytest.raises(SandboxError, match="exit code 137"):
            box.run([RIGHT])


WORKER = """
import sys
from sandbox import Limits, Program, open_sandbox
sandbox = open_sandbox()
box = sandbox.prepare(study=sys.argv[1], limits=Limits(timeout_s=60), deadline_s=300)
box.run([Program(source="x = 1", check="pass")])
print("ready", flush=True)
box.run([Program(source="while True: pass", check="pass")])
"""


def test_a_killed_worker_leaves_no_container(
    engine: docker.DockerClient, study: str, repository: Path
):
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", WORKER, study]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert len(containers(engine, study)) == 1
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    wait_until(lambda: containers(engine, study) == [])


def test_the_reaper_takes_what_nobody_owns_and_nothing_else(
    sandbox: Sandbox, engine: docker.DockerClient, study: str
):
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    labels = owner.labels(study, 600)
    place, _, started = labels[owner.OWNER].split(" ")
    orphaned = {**labels, owner.OWNER: f"{place} {dead.pid} {started}"}
    overdue = {**labels, owner.DEADLINE: "1"}
    image = engine.api.inspect_container(_any_container(sandbox, engine, study))["Image"]
    made = [
        engine.api.create_container(image, ["python3"], labels=which)["Id"]
        for which in (orphaned, overdue, labels)
    ]
    try:
        removed = reap(engine)
        assert made[2] not in removed
        wait_until(lambda: containers(engine, study) == made[2:])  # another's reaper may be at it
        assert not set(made) & set(reap(engine))
    finally:
        for container in made:
            with suppress(NotFound):
                engine.api.remove_container(container, force=True)


def _any_container(sandbox: Sandbox, engine: docker.DockerClient, study: str) -> str:
    box = sandbox.prepare(study=f"{study}-image", limits=LIMITS, deadline_s=5)
    box.run([RIGHT])
    return containers(engine, f"{study}-image")[0]

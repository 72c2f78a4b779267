"""What a worker killed with -9 leaves on the engine is removed by another worker's reaper."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import docker
import pytest

from sandbox import owner
from sandbox.engine import connect
from study.connection import Client
from workers.upkeep import AtHand, Upkeep

pytestmark = pytest.mark.docker

WAIT_MAX_S = 60.0
DYING = """
import sys, threading
from sandbox import Limits, Program, open_sandbox
step, study = sys.argv[1:]
sandbox = open_sandbox()
if step == "created":  # and never started: nothing but a reaper can end it
    def start(container):
        print("there", flush=True)
        threading.Event().wait()
    sandbox._client.api.start = start
box = sandbox.prepare(study=study, limits=Limits(timeout_s=60), deadline_s=600)
box.run([])
box.run([Program(source="x = 1", check="pass")])
print("there", flush=True)
if step == "judging":
    box.run([Program(source="while True: pass", check="pass")])
threading.Event().wait()
"""


def left(engine: docker.DockerClient, study: str) -> list[str]:
    found = engine.api.containers(all=True, filters={"label": f"{owner.STUDY}={study}"})
    return [container["Id"] for container in found]


@pytest.mark.parametrize("step", ["created", "idle", "judging"])
def test_a_dead_workers_container_is_removed_by_another_worker(
    step: str, client: Client, repository: Path
):
    if os.environ.get("BURSAR_NO_ENGINE") == "1":
        pytest.skip("no container engine could be had on this machine")
    engine, study = connect(), f"dead-{os.getpid()}-{step}"
    another = Upkeep(client, name="another", life="l", slots=1, at_hand=AtHand(), reap_s=0.2)
    command = [sys.executable, "-c", DYING, step, study]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"there\n"
            assert len(left(engine, study)) == 1
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        another.start()
        deadline_s = time.monotonic() + WAIT_MAX_S
        while left(engine, study):
            assert time.monotonic() < deadline_s, "it is still there"
            threading.Event().wait(0.1)
    finally:
        another.stop()
        engine.close()

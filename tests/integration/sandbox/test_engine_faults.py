"""An engine that hangs, dies, fills up, or loses something: a fault with its cause, and no verdict."""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from sandbox import (
    DockerSandbox,
    Limits,
    OutOfMemory,
    Program,
    SandboxError,
    build_image,
    channel,
    open_sandbox,
)
from sandbox.engine import connect
from tests.attacks import test_memory_pressure
from tests.integration.sandbox.private_engine import PrivateEngine, private_engine
from workers.box import Box

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("dockerd") is None,
        reason="an engine of its own takes root and dockerd",
    ),
    # docker-py leaves the socket open where nobody answers.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

PROGRAM = Program(source="x = 1", check="assert x == 1")
LIMITS = Limits(timeout_s=0.5)
HUNG_S = 2.0
"""How long a daemon that hangs is waited for here; what the bound is in earnest, engine.py says."""


@pytest.fixture(autouse=True)
def no_open_sockets() -> Iterator[None]:
    """What docker-py leaves open is closed here, where it is no surprise."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with private_engine(Path(tempfile.mkdtemp(prefix="bursar-engine-"))) as started:
        yield started


@pytest.fixture
def client(engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.DockerClient]:
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    opened = connect()
    yield opened
    opened.close()


@pytest.fixture
def sandbox(client: docker.DockerClient) -> Iterator[DockerSandbox]:
    opened = DockerSandbox(client=client, image=build_image(client))
    yield opened
    opened.close()


def run(sandbox: DockerSandbox) -> None:
    """Runs a right program in a box of its own."""
    with sandbox.prepare(study="faults", limits=Limits(), deadline_s=600) as box:
        assert box.run([PROGRAM])[0].passed


def run_as_a_worker(sandbox: DockerSandbox, sleep: Callable[[float], None]) -> None:
    """The same as a worker does, which begins anew where a box breaks."""
    with Box(sandbox, study="faults", limits=Limits(), deadline_s=600, sleep=sleep) as box:
        box.prepare()
        assert box.run([PROGRAM])[0].passed


def test_a_daemon_that_hangs_is_a_fault_and_work_goes_on_when_it_wakes(
    engine: PrivateEngine, client: docker.DockerClient, sandbox: DockerSandbox
):
    patience_s = client.api.timeout

    def wake(_: float) -> None:
        client.api.timeout = patience_s
        engine.signal(signal.SIGCONT)

    engine.signal(signal.SIGSTOP)
    client.api.timeout = HUNG_S
    try:
        with pytest.raises(SandboxError, match=r"cannot start a container.*timed out"):
            run(sandbox)
        run_as_a_worker(sandbox, wake)
    finally:
        wake(0)


def test_a_daemon_that_hangs_while_a_program_runs_is_a_fault(
    engine: PrivateEngine,
    client: docker.DockerClient,
    sandbox: DockerSandbox,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(channel, "GRACE_S", HUNG_S)
    patience_s = client.api.timeout
    try:
        with sandbox.prepare(study="faults", limits=LIMITS, deadline_s=600) as box:
            box.run([])
            engine.signal(signal.SIGSTOP)
            client.api.timeout = HUNG_S
            with pytest.raises(SandboxError, match="did not answer within"):
                box.run([PROGRAM])
    finally:
        engine.signal(signal.SIGCONT)
        client.api.timeout = patience_s
    run(sandbox)


def test_a_daemon_that_dies_is_a_fault_and_work_goes_on_with_its_successor(
    engine: PrivateEngine, sandbox: DockerSandbox
):
    restarted = []

    def restart(_: float) -> None:
        if not restarted:
            engine.start()
        restarted.append(True)

    with sandbox.prepare(study="faults", limits=Limits(), deadline_s=600) as box:
        box.run([])
        engine.signal(signal.SIGKILL)
        with pytest.raises(SandboxError, match="runner"):
            box.run([PROGRAM])
    try:
        with pytest.raises(SandboxError, match="no container engine can be reached"):
            open_sandbox()
        with pytest.raises(SandboxError, match="cannot start a container"):
            run(sandbox)
        run_as_a_worker(sandbox, restart)
    finally:
        restart(0)


def test_a_full_disk_is_a_fault_and_work_goes_on_when_there_is_room(
    engine: PrivateEngine, client: docker.DockerClient, sandbox: DockerSandbox
):
    run(sandbox)
    filler = engine.disk / "filler"
    try:
        fill(filler)
        with pytest.raises(SandboxError, match="no space left on device"):
            run(sandbox)
        run_as_a_worker(sandbox, lambda _: filler.unlink(missing_ok=True))
    finally:
        filler.unlink(missing_ok=True)


def test_an_image_that_the_disk_has_no_room_for_is_a_fault(
    engine: PrivateEngine, client: docker.DockerClient
):
    client.api.remove_image(build_image(client), force=True)
    filler = engine.disk / "filler"
    try:
        fill(filler)
        with pytest.raises(SandboxError, match="no space left on device"):
            open_sandbox()
    finally:
        filler.unlink(missing_ok=True)


def test_an_image_that_somebody_removed_is_built_again(client: docker.DockerClient):
    opened = open_sandbox()
    assert isinstance(opened, DockerSandbox)
    try:
        client.api.remove_image(build_image(client), force=True)
        run(opened)
    finally:
        opened.close()


def test_a_runtime_that_is_registered_and_not_there_is_a_fault(
    engine: PrivateEngine, client: docker.DockerClient
):
    opened = open_sandbox(runtime=engine.RUNTIME)
    try:
        with pytest.raises(SandboxError, match="cannot start a container"):
            run(opened)
    finally:
        opened.close()


def test_a_container_that_runs_out_of_memory_as_a_whole_is_a_fault_or_the_program_s_end(
    sandbox: DockerSandbox,
):
    """The kernel says who dies: where it is the runner, nobody has a verdict."""
    glutton = test_memory_pressure.ATTACKS["the runner before many children"]
    with sandbox.prepare(study="faults", limits=LIMITS, deadline_s=600) as box:
        try:
            verdict = box.run([Program(source=glutton, check="assert f(1) == 2")])[0].verdict
        except OutOfMemory as error:
            verdict = error.cause
    ends = ("fail:oom_killed", "timeout", "as a whole ran out of memory")
    assert any(end in verdict for end in ends), verdict
    run(sandbox)


def fill(file: Path) -> None:
    """Takes all that is left on a disk."""
    with file.open("wb", buffering=0) as opened:
        try:
            while True:
                opened.write(bytes(1 << 20))
        except OSError:
            pass
        try:
            while True:
                opened.write(bytes(1 << 10))
        except OSError:
            pass

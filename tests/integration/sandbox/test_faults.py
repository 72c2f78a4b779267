"""What the sandbox could not do is an error that says why and what next; it is never a verdict."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from sandbox import (
    DockerSandbox,
    Limits,
    ProcessSandbox,
    Program,
    SandboxError,
    build_image,
    open_sandbox,
    self_check,
)
from sandbox.engine import connect

PROGRAM = Program(source="x = 1", check="assert x == 1")


@pytest.fixture
def dead_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")


def test_no_engine_is_an_error_that_says_where_to_look(dead_engine: None):
    with pytest.raises(SandboxError, match="no container engine can be reached") as caught:
        open_sandbox()
    assert "DOCKER_HOST" in caught.value.remedy


def test_an_engine_that_hangs_up_is_an_error(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        server.close()
        with pytest.raises(SandboxError, match="no container engine"):
            open_sandbox()


def test_without_an_engine_only_synthetic_programs_run_as_processes(dead_engine: None):
    sandbox = open_sandbox(allow_processes_for="synthetic")
    assert isinstance(sandbox, ProcessSandbox)
    with sandbox.prepare(study="s", limits=Limits(), deadline_s=60) as box:
        with pytest.raises(SandboxError, match="not ours"):
            box.run([PROGRAM])
        ours = Program(source=PROGRAM.source, check=PROGRAM.check, trusted=True)
        assert box.run([ours])[0].passed
    sandbox.close()


def test_processes_cannot_be_allowed_for_anything_else(dead_engine: None):
    with pytest.raises(ValueError, match="everything"):
        open_sandbox(allow_processes_for="everything")  # type: ignore[arg-type]


def test_the_self_check_of_a_host_without_engine_fails_by_name(dead_engine: None):
    (check,) = self_check()
    assert (check.name, check.ok) == ("engine", False)


def test_the_command_prints_the_failure_and_exits_with_one(dead_engine: None, repository: Path):
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-m", "sandbox"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL  engine")
    assert "Traceback" not in done.stderr


def test_packages_cannot_be_put_into_one_s_own_image():
    with pytest.raises(ValueError, match="packages"):
        open_sandbox(image="python:3.12", packages=["numpy"])


@pytest.mark.docker
class TestOnTheEngine:
    def prepare_and_run(self, sandbox: DockerSandbox, limits: Limits | None = None) -> None:
        try:
            with sandbox.prepare(study="s", limits=limits or Limits(), deadline_s=60) as box:
                box.run([PROGRAM])
        finally:
            sandbox.close()

    def test_an_image_that_is_missing_is_an_error_that_says_so(self, engine: docker.DockerClient):
        sandbox = DockerSandbox(client=connect(), image="bursar-sandbox:no-such-image")
        with pytest.raises(SandboxError, match="image is missing") as caught:
            self.prepare_and_run(sandbox)
        assert "build_image" in caught.value.remedy

    def test_a_runtime_that_is_missing_is_an_error_that_names_it(self, engine: docker.DockerClient):
        sandbox = DockerSandbox(
            client=connect(), image=build_image(engine), runtime="no-such-runtime"
        )
        with pytest.raises(SandboxError, match="no-such-runtime"):
            self.prepare_and_run(sandbox)

    def test_an_engine_that_dies_is_an_error(
        self, engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        client = connect()
        sandbox = DockerSandbox(client=client, image="any")
        client.api.base_url = f"tcp://127.0.0.1:{_closed_port()}".replace("tcp", "http")
        with pytest.raises(SandboxError, match="cannot start a container"):
            self.prepare_and_run(sandbox)

    def test_a_failed_start_leaves_no_container(self, engine: docker.DockerClient):
        before = {c["Id"] for c in engine.api.containers(all=True)}
        sandbox = DockerSandbox(
            client=connect(), image=build_image(engine), runtime="no-such-runtime"
        )
        box = sandbox.prepare(study="failed-start", limits=Limits(), deadline_s=60)
        with pytest.raises(SandboxError):
            box.run([PROGRAM])
        sandbox.close()
        left = engine.api.containers(all=True, filters={"label": "bursar.study=failed-start"})
        assert [c["Id"] for c in left if c["Id"] not in before] == []


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""An engine that only the network leads to: TCP with TLS and client certificates, as DOCKER_HOST says it."""

import gc
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from sandbox import (
    DockerSandbox,
    Limits,
    Program,
    SandboxError,
    open_sandbox,
    owner,
    reap,
    self_check,
)
from sandbox.engine import connect
from tests.integration.doors.guarded_redis import certificate
from tests.integration.sandbox.private_engine import PrivateEngine, private_engine

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("dockerd") is None,
        reason="an engine of its own takes root and dockerd",
    ),
    # docker-py leaves the socket open where it is not let in.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

RIGHT = Program(source="def f(x): return x + 1", check="assert f(1) == 2")
WAIT_MAX_S = 300.0
WRONG = Program(source="def f(x): return x", check="assert f(1) == 2")


@pytest.fixture(autouse=True)
def no_open_sockets() -> Iterator[None]:
    """What docker-py leaves open is closed here, where it is no surprise."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """Its Unix socket is taken away, so that there is no other way to it."""
    folder = Path(tempfile.mkdtemp(prefix="bursar-engine-"))
    for name in ("ca", "stranger"):
        certificate(folder, name)
    certificate(folder, "server", by="ca")
    certificate(folder, "client", by="ca")
    certificate(folder, "intruder", by="stranger")
    for name in ("client", "intruder"):
        own = folder / f"of-{name}"
        own.mkdir()
        shutil.copy(folder / "ca.pem", own / "ca.pem")
        shutil.copy(folder / f"{name}.pem", own / "cert.pem")
        shutil.copy(folder / f"{name}.key", own / "key.pem")
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        private_engine(folder, listener=listener) as started,
    ):
        (folder / "sock").unlink()
        yield started


@pytest.fixture(autouse=True)
def away(engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All that is known of it."""
    assert engine.listener is not None
    port = engine.listener.getsockname()[1]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(engine.folder / "of-client"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(engine.folder / "stranger.pem"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    with closing(connect()) as opened:
        yield opened


def left(client: docker.DockerClient) -> list[str]:
    found = client.api.containers(all=True, filters={"label": owner.OWNER})
    return [container["Id"] for container in found]


def test_programs_are_judged_there_and_nothing_is_left(client: docker.DockerClient) -> None:
    with (
        closing(open_sandbox()) as sandbox,
        sandbox.prepare(study="remote", limits=Limits(), deadline_s=600) as box,
    ):
        found = [(result.verdict, result.apart) for result in box.run([RIGHT, WRONG, RIGHT])]
        long = Program(source=f"{'#' * 300_000}\n{RIGHT.source}", check=RIGHT.check)
        found.append((box.run([long])[0].verdict, True))
        assert len(left(client)) == 1
    assert found == [("pass", True), ("fail:AssertionError", True), ("pass", True), ("pass", True)]
    reap(client)
    assert left(client) == []


def test_it_keeps_the_promises_that_a_worker_asks_for() -> None:
    broken = [check for check in self_check() if not check.ok]
    assert broken == []


def test_what_a_dead_owner_left_there_is_reaped_over_the_wire(client: docker.DockerClient) -> None:
    with closing(open_sandbox()) as sandbox:
        assert isinstance(sandbox, DockerSandbox)
        box = sandbox.prepare(study="remote", limits=Limits(), deadline_s=600)
        box.run([])
        owner.release(box._name)  # as where its owner has gone
        assert set(left(client)) == set(reap(client)) != set()
        with pytest.raises(SandboxError, match="ended"):
            box.run([RIGHT])
        box.close()


def test_a_container_ends_with_the_connection_of_its_worker(client: docker.DockerClient) -> None:
    with closing(open_sandbox()) as sandbox:
        box = sandbox.prepare(study="remote", limits=Limits(), deadline_s=600)
        box.run([RIGHT])
        _, channel = box._start.result()
        channel.close()  # what the kernel does for a worker that dies
        deadline_s = time.monotonic() + WAIT_MAX_S
        while left(client):
            assert time.monotonic() < deadline_s, "it is still there"
            threading.Event().wait(0.1)
        box.close()


def test_who_has_no_certificate_of_the_engine_s_authority_is_told_so(
    engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", str(engine.folder / "of-intruder"))
    with pytest.raises(SandboxError, match=r"no container engine can be reached.*DOCKER_HOST"):
        connect()


def test_an_engine_that_went_away_is_a_fault(engine: PrivateEngine) -> None:
    with (
        closing(open_sandbox()) as sandbox,
        sandbox.prepare(study="remote", limits=Limits(), deadline_s=600) as box,
    ):
        box.run([RIGHT])
        engine.signal(signal.SIGKILL)
        with pytest.raises(SandboxError, match="runner"):
            box.run([RIGHT])
        with pytest.raises(SandboxError, match="cannot start a container"):
            sandbox.prepare(study="remote", limits=Limits(), deadline_s=600).run([RIGHT])

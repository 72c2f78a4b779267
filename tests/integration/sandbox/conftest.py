"""The real engine, once per session, and a study name of each test's own."""

import os
from collections.abc import Iterator

import docker
import pytest

from sandbox import Sandbox, open_sandbox
from sandbox.engine import connect


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    if os.environ.get("BURSAR_NO_ENGINE") == "1":
        pytest.skip("no container engine could be had on this machine")
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def sandbox(engine: docker.DockerClient) -> Iterator[Sandbox]:
    opened = open_sandbox()
    yield opened
    opened.close()


@pytest.fixture
def study(request: pytest.FixtureRequest) -> str:
    """Labels this test's containers, and no other's."""
    return f"test-{os.getpid()}-{abs(hash(request.node.nodeid))}"

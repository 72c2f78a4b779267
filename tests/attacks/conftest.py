"""What every family of attacks shares: one container for its programs, honest siblings after each."""

import os
from collections.abc import Callable, Iterator

import pytest

from sandbox import Limits, Program, Sandbox, SandboxBox, open_sandbox

CHECK = "assert f(1) == 2\n"
LIMITS = Limits(timeout_s=1.5, memory_mb=128, pids=16, scratch_mb=8, file_mb=4, scratch_files=256)
DEADLINE_S = 300.0
RIGHT = Program(source="def f(x):\n    return x + 1\n", check=CHECK)
WRONG = Program(source="def f(x):\n    return x\n", check=CHECK)

Attack = Callable[[str, str], str]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    if os.environ.get("BURSAR_NO_ENGINE") == "1":
        pytest.skip("no container engine could be had on this machine")
    opened = open_sandbox()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def box(sandbox: Sandbox) -> Iterator[SandboxBox]:
    with sandbox.prepare(study="attacks", limits=LIMITS, deadline_s=DEADLINE_S) as box:
        yield box


@pytest.fixture
def verdict_on(box: SandboxBox) -> Attack:
    """Runs a hostile program before two honest ones, which must not notice; returns its verdict."""

    def run(source: str, check: str = CHECK) -> str:
        results = box.run([Program(source=source, check=check), RIGHT, WRONG])
        assert [result.verdict for result in results[1:]] == ["pass", "fail:AssertionError"]
        assert len(results[0].detail) <= LIMITS.detail_chars
        assert results[0].detail.isprintable()
        assert results[0].duration_s < LIMITS.timeout_s * 6
        return results[0].verdict

    return run

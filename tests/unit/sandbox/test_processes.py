"""Plain processes, for our own programs only: the runner of the containers, without a container."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Limits, ProcessSandbox, Program, SandboxBox, SandboxError

LIMITS = Limits(timeout_s=1.0, memory_mb=128)


@pytest.fixture
def box() -> Iterator[SandboxBox]:
    sandbox = ProcessSandbox()
    with sandbox.prepare(study="s", limits=LIMITS, deadline_s=60) as box:
        yield box
    sandbox.close()


def ours(source: str, check: str = "pass") -> Program:
    return Program(source=source, check=check, trusted=True)


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("x = 1", "pass"),
        ("raise KeyError('x')", "fail:KeyError"),
        ("raise SystemExit", "fail:SystemExit"),
        ("import os\nos._exit(0)", "fail:left_early"),
        ("while True: pass", "timeout"),
        ("x = bytearray(1 << 30)", "fail:MemoryError"),
        ("def g(): return g()\ng()", "fail:RecursionError"),
    ],
)
def test_our_own_programs_get_the_same_verdicts_as_in_a_container(box, source, verdict):
    results = box.run([ours(source), ours("y = 1", "assert y == 1")])
    assert [result.verdict for result in results] == [verdict, "pass"]


def test_a_program_that_is_not_ours_is_refused_and_nothing_is_run(box, tmp_path):
    tmp_path.chmod(0o777)
    trace = tmp_path / "trace"
    programs = [ours(f"open({str(trace)!r}, 'w')"), Program(source="x = 1", check="pass")]
    with pytest.raises(SandboxError, match="may not run as a plain process"):
        box.run(programs)
    assert not trace.exists()


def test_processes_announce_themselves_loudly(caplog):
    with caplog.at_level(logging.WARNING):
        ProcessSandbox()
    assert "NO CONTAINERS" in caplog.text


def test_programs_do_not_see_our_environment(box, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    (result,) = box.run([ours("import os\nassert not os.environ")])
    assert result.passed, result.detail


def test_a_closed_box_leaves_no_process_and_no_folder():
    sandbox = ProcessSandbox()
    box = sandbox.prepare(study="s", limits=LIMITS, deadline_s=60)
    (result,) = box.run([ours("import os\nraise ValueError(os.getcwd(), os.getpid())")])
    folder, pid = result.detail.split("('")[1].split(")")[0].split("', ")
    box.close()
    box.close()
    assert not Path(folder).parent.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    with pytest.raises(SandboxError, match="closed"):
        box.run([ours("x = 1")])
    sandbox.close()

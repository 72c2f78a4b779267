"""A user's function is called in a process of its own: whatever it does, its example fails at most."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.judge import UnusableEvaluator
from workers.judges import Judges, JudgingFailed

MODULE = """
import os, signal, subprocess, sys, time

def size(responses, **example):
    return {"size": len(responses), "pid": os.getpid()}

def loud(responses, **example):
    print("hello", flush=True)
    return {"size": 1}

def hangs(responses, pids, **example):
    child = subprocess.Popen(["sleep", "1000"])
    with open(pids + ".new", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    os.rename(pids + ".new", pids)
    while True:
        pass

def sleeps(responses, **example):
    time.sleep(1000)

def leaves(responses, **example):
    os._exit(3)

def crashes(responses, **example):
    os.kill(os.getpid(), signal.SIGSEGV)

def exits(responses, **example):
    sys.exit("enough")

def sees(responses, **example):
    return {"size": len(os.listdir("/proc/self/fd"))}
"""
PATIENT_S = 120.0


@pytest.fixture
def judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judges]:
    (tmp_path / "some_judges.py").write_text(MODULE)
    (tmp_path / "judge_that_hangs_at_import.py").write_text("while True: pass\n")
    (tmp_path / "judge_that_leaves_at_import.py").write_text("raise SystemExit(5)\n")
    monkeypatch.syspath_prepend(tmp_path)
    made = Judges()
    yield made
    made.close()


def curve(
    judges: Judges,
    function: str,
    *,
    texts: tuple[str, ...] = ("a", "b"),
    timeout_s: float = PATIENT_S,
    **example: Any,
) -> dict[int, float]:
    return judges.resample(
        f"some_judges:{function}", "size", texts, example, mode="max", seed=0, timeout_s=timeout_s
    ).curve


def is_gone(pid: int) -> bool:
    """Whether a process has ended, buried or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def expect_soon(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_function_is_asked_on_subsets_of_all_answers(judges: Judges) -> None:
    assert curve(judges, "size", texts=("a", "b", "c")) == {1: 1.0, 2: 2.0, 3: 3.0}
    assert curve(judges, "size", texts=()) == {}


def test_what_it_prints_is_no_answer(judges: Judges) -> None:
    assert curve(judges, "loud") == {1: 1.0, 2: 1.0}


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("sleeps", r"did not return within 0.3 s \(metric.timeout_s\), and was ended"),
        ("leaves", r"ended its process \(exit code 3\)"),
        ("crashes", r"ended its process \(signal 11\)"),
        ("exits", "SystemExit: enough"),
    ],
)
def test_a_function_that_gives_no_score_says_why_and_the_next_one_is_judged(
    function: str, told: str, judges: Judges
) -> None:
    with pytest.raises(JudgingFailed, match=told):
        curve(judges, function, timeout_s=0.3 if function == "sleeps" else PATIENT_S)
    assert curve(judges, "size") == {1: 1.0, 2: 2.0}


def test_a_function_that_hangs_is_ended_with_all_that_it_started(
    judges: Judges, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    while not pids.exists():  # a loaded machine may not have come to the function by then
        with pytest.raises(JudgingFailed, match="did not return"):
            curve(judges, "hangs", timeout_s=1.0, pids=str(pids))
    for pid in pids.read_text().split():
        expect_soon(lambda pid=pid: is_gone(int(pid)))  # type: ignore[misc]


def test_a_function_that_is_not_here_is_named(judges: Judges) -> None:
    with pytest.raises(UnusableEvaluator, match="has no attribute 'size_of'"):
        judges.check("some_judges:size_of")
    with pytest.raises(UnusableEvaluator, match="No module named 'nowhere'"):
        judges.check("nowhere:size")
    with pytest.raises(UnusableEvaluator, match="SystemExit: 5"):
        judges.check("judge_that_leaves_at_import:size")
    judges.check("some_judges:size")


def test_a_module_that_hangs_as_it_is_imported_is_named(
    judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.judges.IMPORT_S_MAX", 0.5)
    with pytest.raises(UnusableEvaluator, match="importing it takes more than"):
        judges.check("judge_that_hangs_at_import:size")


def test_a_judge_is_used_again_and_inherits_nothing_of_the_worker(judges: Judges) -> None:
    one, other = (
        judges.resample(
            "some_judges:size", "pid", ["a"], {}, mode="max", seed=0, timeout_s=PATIENT_S
        ).curve
        for _ in range(2)
    )
    assert one == other
    with open(os.devnull) as _, open(os.devnull) as _:
        (count,) = set(curve(judges, "sees", texts=("a",)).values())
    assert (
        count <= 5
    )  # the three that every process has, its line to the worker, the listing itself


def test_a_killed_workers_judge_ends_though_its_function_hangs(
    judges: Judges, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from workers.judges import Judges\n"
        "Judges().resample('some_judges:hangs', 'size', ['a'], "
        f"{{'pids': {str(pids)!r}}}, mode='max', seed=0, timeout_s=1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as worker:
        expect_soon(pids.exists)
        os.kill(worker.pid, signal.SIGKILL)
    for pid in pids.read_text().split():
        expect_soon(lambda pid=pid: is_gone(int(pid)))  # type: ignore[misc]

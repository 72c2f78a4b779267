"""What is left of many attacks: no memory in the worker, no container, no other verdict."""

from pathlib import Path

import pytest

from sandbox import Exchange, Program, Sandbox
from sandbox.engine import connect

from .conftest import CHECK, DEADLINE_S, LIMITS, RIGHT, WRONG

pytestmark = pytest.mark.docker

STUDY = "attacks-harmless"
ROUNDS = 3
GROWTH_MIB_MAX = 16
"""All floods together would be gigabytes."""
FLOODS = [
    Program(source="import os\nfor _ in range(500): os.write(1, bytes(100000))", check=CHECK),
    Program(source="raise ValueError('x' * 10 ** 7)", check=CHECK),
    Program(source="def f(x): return 'x' * (5 << 20)", check=CHECK),
    Program(source="def f(x): return [[]] * 10 ** 5", check=CHECK),
    Program(source="def f(x): raise ValueError('x' * 10 ** 7)", check=CHECK),
    Program(
        source="while True: print('x' * 100000)", exchanges=(Exchange(stdin="", stdout="yes"),)
    ),
    Program(
        source="import os\ntry:\n    while True: os.write(3, bytes(8000))\nexcept OSError: pass\n"
        "finally: os._exit(0)",
        check="pass",
    ),
]


def memory_kib() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])


def test_floods_do_not_grow_the_worker_and_leave_nothing(sandbox: Sandbox) -> None:
    with sandbox.prepare(study=STUDY, limits=LIMITS, deadline_s=DEADLINE_S) as box:
        box.run(FLOODS)
        before_kib = memory_kib()
        for _ in range(ROUNDS):
            *hostile, right, wrong = box.run([*FLOODS[:-1], RIGHT, WRONG])
            assert not any(result.passed for result in hostile)
            assert (right.verdict, wrong.verdict) == ("pass", "fail:AssertionError")
        assert memory_kib() - before_kib < GROWTH_MIB_MAX * 1024
    client = connect()
    left = client.containers.list(all=True, filters={"label": f"bursar.study={STUDY}"})
    client.close()
    assert left == []

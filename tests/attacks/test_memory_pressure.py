"""Programs that see to it that memory runs out for others first: their judge, or the runner.

Whatever dies of it, the verdict is theirs, and their siblings get their own: so the worker's box is
tried here, which begins anew where a container has ended.
"""

import time

import pytest

from sandbox import Program, Sandbox
from tests.attacks.conftest import CHECK, DEADLINE_S, LIMITS, RIGHT, WRONG
from workers.box import Box

pytestmark = pytest.mark.docker

LOWER = (  # a process that may be dumped may say that others should be killed before it
    "import ctypes, os, time\nctypes.CDLL(None).prctl(4, 1)\n"
    "with open('/proc/self/oom_score_adj', 'w') as file: file.write('0')\n"
)
FILL = (  # memory that no process is charged with
    "def fill():\n    kept = []\n    while True:\n        kept.append(os.memfd_create('x'))\n"
    "        for _ in range(4): os.write(kept[-1], bytes(1 << 20))\n"
)

ATTACKS = {
    "the judge before the program": f"{LOWER}{FILL}def f(x):\n    fill()\n",
    "the runner before many children": (
        f"{LOWER}{FILL}for _ in range(12):\n    if os.fork() == 0:\n        try: fill()\n"
        "        finally: time.sleep(99)\ndef f(x): time.sleep(99)\n"
    ),
    "the runner, in the source": f"{LOWER}{FILL}fill()\n",
}

EXPECTED = ("fail:oom_killed", "timeout")
"""Whom the kernel ends is its own affair: where it is the children alone, the program goes on waiting."""


def box_of(sandbox: Sandbox) -> Box:
    return Box(
        sandbox,
        study="attacks",
        limits=LIMITS,
        deadline_s=DEADLINE_S,
        sleep=time.sleep,
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_who_takes_all_memory_is_over_its_own_limit(name: str, sandbox: Sandbox):
    hostile = Program(source=ATTACKS[name], check=CHECK)
    with box_of(sandbox) as box:
        right, found, *others = [r.verdict for r in box.run([RIGHT, hostile, RIGHT, WRONG])]
    assert found in EXPECTED
    assert [right, *others] == ["pass", "pass", "fail:AssertionError"]

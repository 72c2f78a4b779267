"""Scripts that would pass without having printed what is expected, or harm the one that compares."""

import pytest

from sandbox import Exchange, Program, SandboxBox

pytestmark = pytest.mark.docker

EXCHANGES = (Exchange(stdin="1 2\n", stdout="3\n"), Exchange(stdin="5 5\n", stdout="10\n"))
RIGHT = "print(sum(map(int, input().split())))"
WRONG = "print(3)"

ATTACKS = {
    "printing nothing": ("pass", "fail:AssertionError"),
    "leaving early": ("import os\nos._exit(0)", "fail:AssertionError"),
    "leaving early with a right answer": (
        "import os\nprint(sum(map(int, input().split())), flush=True)\nos._exit(0)",
        "pass",
    ),
    "exiting with a right answer": (f"{RIGHT}\nexit()", "pass"),
    "exiting with an error": (f"{RIGHT}\nexit(1)", "fail:SystemExit"),
    "the first answer for all": (WRONG, "fail:AssertionError"),
    "looking for the answer": (
        "import gc, os, sys\nfor d in range(3, 64):\n    try: print(os.read(d, 100))\n"
        "    except OSError: pass\nprint(3)",
        ("fail:AssertionError", "timeout"),
    ),
    "words for the runner": (
        "import os\nfor d in range(3, 64):\n    for word in (b'passed', b'ready', b'apart'):\n"
        "        try: os.write(d, word)\n        except OSError: pass\n",
        "fail:AssertionError",
    ),
    "an error behind a right answer": (f"{RIGHT}\n1 / 0", "fail:ZeroDivisionError"),
    "a flood": ("while True: print('x' * 10000)", "fail:AssertionError"),
    "a flood on standard error": (
        "import sys\nwhile True: sys.stderr.write('x' * 10000)",
        "timeout",
    ),
    "a flood of nothing": ("while True: print()", "fail:AssertionError"),
    "a flood from a child": (
        "import os\nif os.fork() == 0:\n    while True: os.write(1, bytes(4096))\n" + RIGHT,
        "fail:AssertionError",
    ),
    "not reading": ("import time\ntime.sleep(99)", "timeout"),
    "reading forever": ("import sys\nwhile True: sys.stdin.read()", "timeout"),
    "closing both ends": (
        "import os\nos.close(0)\nos.close(1)",
        ("fail:OSError", "fail:left_early", "fail:AssertionError"),
    ),
    "closing both ends, and waiting": (
        "import os, time\nos.close(0)\nos.close(1)\ntime.sleep(99)",
        "timeout",
    ),
    "output of broken encoding": (
        "import os\nos.write(1, b'\\xff\\xfe\\x00\\x80')",
        "fail:AssertionError",
    ),
    "lone surrogates": ("print('\\udc80\\ud800')", ("fail:UnicodeEncodeError", "fail:AssertionError")),
    "another standard output": (
        "import io, sys\nsys.stdout = io.StringIO()\nprint(3)",
        "fail:AssertionError",
    ),
    "no standard output": ("import sys\nsys.stdout = None", ("fail:AttributeError", "fail:AssertionError")),
    "a right answer from a thread": (
        f"import threading\nthreading.Thread(target=lambda: {RIGHT}).start()",
        "pass",
    ),
    "a right answer from an atexit hook": (
        f"import atexit\natexit.register(lambda: {RIGHT})",
        "pass",
    ),
    "a right answer from another program": (
        "import os, sys\nos.execv('/usr/local/bin/python3', ['/usr/local/bin/python3', '-c', "
        f"{RIGHT!r}])",
        "pass",
    ),
    "a daemon that prints the rest": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(0.2)\n"
        "    print(3, flush=True)\n    os._exit(0)\nos._exit(0)",
        "fail:AssertionError",
    ),
    "spaces at the ends": ("print(str(sum(map(int, input().split()))) + '  \\n\\n ')", "pass"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_a_script_passes_by_what_it_prints_alone(name: str, box: SandboxBox) -> None:
    source, expected = ATTACKS[name]
    programs = [Program(source=text, exchanges=EXCHANGES) for text in (source, RIGHT, WRONG)]
    result, *siblings = box.run(programs)
    assert result.verdict in ((expected,) if isinstance(expected, str) else expected)
    assert [sibling.verdict for sibling in siblings] == ["pass", "fail:AssertionError"]


def test_a_long_input_need_not_be_read(box: SandboxBox) -> None:
    exchange = Exchange(stdin="1\n" * 200_000, stdout="yes")
    programs = [
        Program(source=text, exchanges=(exchange,))
        for text in (
            "print('yes')",
            "import sys\nassert len(sys.stdin.read()) == 400000\nprint('yes')",
        )
    ]
    assert [result.verdict for result in box.run(programs)] == ["pass", "pass"]

"""Programs that take all there is: time, memory, processes, files, output."""

import pytest

pytestmark = pytest.mark.docker

RIGHT = "def f(x):\n    return x + 1\n"
LOOP = "while True: pass"

ATTACKS = {
    "a loop": (LOOP, "timeout"),
    "a loop in C": ("sum(range(10 ** 13))", "timeout"),
    "a regex that never ends": ("import re\nre.match('(a+)+$', 'a' * 60 + 'b')", "timeout"),
    "a sleep": ("import time\ntime.sleep(99)", "timeout"),
    "a deadlock": ("import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()", "timeout"),
    "stopping itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "timeout"),
    "ignoring every signal": (
        "import signal\nfor s in signal.valid_signals() - {9, 19}:\n"
        f"    try: signal.signal(s, signal.SIG_IGN)\n    except OSError: pass\n{LOOP}",
        "timeout",
    ),
    "another clock": (
        f"import time\ntime.time = time.monotonic = time.perf_counter = lambda: 0\n{LOOP}",
        "timeout",
    ),
    "ignoring SIGTERM and SIGALRM": (
        "import signal\nfor s in (signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU):\n"
        f"    signal.signal(s, signal.SIG_IGN)\n{LOOP}",
        "timeout",
    ),
    "time in a child": (
        f"import os\nif os.fork() == 0:\n    {LOOP}\nos.wait()",
        "timeout",
    ),
    "stopping and starting by turns": (
        "import os, signal, time\nparent = os.getpid()\nif os.fork() == 0:\n    while True:\n"
        "        os.kill(parent, signal.SIGSTOP)\n        time.sleep(0.01)\n"
        f"        os.kill(parent, signal.SIGCONT)\n        time.sleep(0.01)\n{LOOP}",
        "timeout",
    ),
    "swallowing every exception": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "timeout",
    ),
    "a fork bomb": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "timeout"),
    "a polite fork bomb": ("import os\nwhile True:\n    os.fork()", ("fail:BlockingIOError", "timeout")),
    "a thread bomb": (
        "import threading, time\nwhile True:\n"
        "    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "fail:RuntimeError",
    ),
    "memory at once": ("x = bytearray(1 << 31)", "fail:MemoryError"),
    "memory by and by": ("x = []\nwhile True: x.append('x' * 100000)", "fail:MemoryError"),
    "memory through a long string": ("x = 'x'\nwhile True: x += x", "fail:MemoryError"),
    "shared memory": (
        "import mmap\nx = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): x[i] = 1",
        "fail:oom_killed",
    ),
    "memory in many children": (
        "import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n"
        "        x = bytearray(100 << 20)\n        for i in range(0, len(x), 4096): x[i] = 1\n"
        "        time.sleep(99)\ntime.sleep(99)",
        ("timeout", "fail:oom_killed"),
    ),
    "a memory file": (
        "import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, bytes(1 << 20))",
        ("fail:OSError", "fail:oom_killed"),
    ),
    "a memory file of holes": (
        "import os\nfor i in range(55):\n    fd = os.memfd_create(str(i))\n"
        "    for _ in range(4): os.write(fd, bytes(1 << 20))\n" + LOOP,
        ("fail:oom_killed", "fail:OSError"),
    ),
    "a big file": ("f = open('x', 'wb')\nwhile True: f.write(bytes(1 << 20))", "fail:OSError"),
    "a full disk": (
        "for n in range(99):\n    with open(str(n), 'wb') as f: f.write(bytes(2 << 20))",
        "fail:OSError",
    ),
    "all inodes": ("for n in range(10 ** 6): open(str(n), 'w').close()", "fail:OSError"),
    "all descriptors": ("x = []\nwhile True: x.append(open('/dev/null'))", "fail:OSError"),
    "System V shared memory": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.shmget(0, 1 << 20, 0o1666) < 0: raise OSError(ctypes.get_errno(), 'shmget')",
        "fail:OSError",
    ),
    "a flood on standard output": ("while True: print('x' * 100000)", "timeout"),
    "a flood on standard error": ("import sys\nwhile True: sys.stderr.write('x' * 100000)", "timeout"),
    "a finite flood and a right answer": (
        f"import os\nfor _ in range(2000): os.write(1, bytes(100000)); os.write(2, bytes(100000))\n{RIGHT}",
        "pass",
    ),
    "a long exception": ("raise ValueError('x' * 10 ** 7)", "fail:ValueError"),
    "an exception that does not print": (
        "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
        "fail:E",
    ),
    "an exception that prints forever": (
        f"class E(Exception):\n    def __str__(self):\n        {LOOP}\nraise E",
        "timeout",
    ),
    "a broken message": ("raise ValueError('\\udc80\\x00\\x1b[2J\\n\\u202e')", "fail:ValueError"),
    "an unspeakable type": (
        "raise type('a\\x00b ' * 1000, (Exception,), {})",
        ("fail:ValueError", "fail:failed"),
    ),
    "recursion": ("def g(x): return g(x)\ng(1)", "fail:RecursionError"),
    "recursion in C": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\n"
        "def g(_): return max([1], key=g)\ng(1)",
        "fail:killed",
    ),
    "a huge integer": ("x = 10 ** 10 ** 10", ("timeout", "fail:MemoryError")),
    "a huge integer's digits": ("str(10 ** 5000)", "fail:ValueError"),
    "nested brackets": ("eval('[' * 100000)", ("fail:MemoryError", "fail:SyntaxError")),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_a_program_that_takes_all_ends_within_its_limits(name, verdict_on):
    source, expected = ATTACKS[name]
    assert verdict_on(source) in ((expected,) if isinstance(expected, str) else expected)


TEXTS = {
    "a NUL byte": ("x = 1\0", "fail:SyntaxError"),
    "a lone surrogate": ("x = '\ud800'", "fail:SyntaxError"),
    "a lone surrogate in a comment": ("# \udfff", "fail:SyntaxError"),
    "an unknown encoding": ("# -*- coding: klingon -*-\n" + RIGHT, "pass"),
    "a byte order mark": ("\ufeff" + RIGHT, ("pass", "fail:SyntaxError")),
    "carriage returns": (RIGHT.replace("\n", "\r\n"), "pass"),
    "letters of all the world": ("def f(ж):\n    return ж + 1  # 你好\n", "pass"),
    "nothing": ("", "fail:NameError"),
    "a long text": ("x = 1\n" * 20_000 + RIGHT, "pass"),
    "too long a text": ("# " + "x" * (2 << 20), "fail:ProgramTooLong"),
    "a deep expression": (
        "x = " + "-" * 50_000 + "1",
        ("fail:RecursionError", "fail:MemoryError", "fail:killed"),
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_at_all_has_a_verdict(name, verdict_on):
    source, expected = TEXTS[name]
    assert verdict_on(source) in ((expected,) if isinstance(expected, str) else expected)

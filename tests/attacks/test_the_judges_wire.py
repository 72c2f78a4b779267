"""Programs that go for the judge and its wire: what comes over it, who holds it, what the judge lives on."""

import pytest

from sandbox import Program, SandboxBox

pytestmark = pytest.mark.docker

RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x\n"
SEND = (
    "import json, os, time\ndef send(text):\n"
    "    data = text.encode()\n    data = len(data).to_bytes(4, 'big') + data\n"
    "    while data: data = data[os.write(4, data):]\n"
)
OTHERS = (
    "import os\ndef others():\n    for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
    "        if pid not in (1, os.getpid()): yield pid\n"
)
FULL = (
    "import os\ndef fill(fd, data):\n    os.set_blocking(fd, False)\n    try:\n"
    "        while True: os.write(fd, data)\n    except BlockingIOError: pass\n"
    "    os.set_blocking(fd, True)\n"
)
SYSCALL = "import ctypes, os\ndef call(*a):\n    libc = ctypes.CDLL(None, use_errno=True)\n"
SYSCALL += "    if libc.syscall(*a) < 0: raise OSError(ctypes.get_errno(), 'no')\n"
# Looks for a text, which it holds itself with nothing behind it, in all of its memory that can be written.
SEARCH = """import ctypes
def find(text, behind):
    for row in [row.split() for row in open('/proc/self/maps')]:
        first, last = (int(number, 16) for number in row[0].split('-'))
        if row[1].startswith('rw'):
            data = ctypes.string_at(first, last - first)
            place = data.find(text)
            while place >= 0:
                if data[place + len(text) : place + len(text) + 1] in behind:
                    raise LookupError('it is there')
                place = data.find(text, place + 1)
"""

ATTACKS = {
    # Choosing the judge: a check is moved into the program's process by the check alone.
    "a module that nobody has, and that can be called": (
        "import types\nclass E:\n    def __eq__(self, _): return True\n"
        "class A(types.ModuleType):\n    def __call__(self, _): return E()\nf = A('f')",
        "fail:AssertionError",
    ),
    "a module in the judge's way": (
        "for folder in ('.', '/tmp'):\n    for name in ('f', 'json', 'struct', 'operator'):\n"
        f"        open(f'{{folder}}/{{name}}.py', 'w').write('raise SystemExit')\n{WRONG}",
        "fail:AssertionError",
    ),
    # What comes over the wire.
    "half a frame": (f"import os\nos.write(4, b'\\0\\0\\x0fffab')\n{RIGHT}", ("timeout",)),
    "the longest length": (f"import os\nos.write(4, b'\\xff' * 4)\n{RIGHT}", "fail:left_early"),
    "a wire stuffed full before the judge listens": (
        f"{FULL}fill(4, b'x' * 4096)\n{RIGHT}",
        "fail:left_early",
    ),
    "a channel stuffed full": (f"{FULL}fill(3, b'x' * 4096)\n{RIGHT}", "pass"),
    "a number of millions of digits": (
        f"{SEND}def f(x): send('[\"value\", ' + '1' * 4_000_000 + ', []]')",
        "fail:left_early",
    ),
    "half a million lists": (
        f"{SEND}def f(x):\n    send('[\"value\", [\"list\"' + ', [\"list\"]' * 400_000 + '], []]')"
        "\n    time.sleep(9)",
        ("fail:AssertionError", "fail:MemoryError", "fail:oom_killed", "timeout"),
    ),
    "a set of numbers of one hash": (
        f"{SEND}def f(x):\n    numbers = ', '.join(str(k * (2 ** 61 - 1)) for k in range(100_000))\n"
        "    send('[\"value\", [\"set\", ' + numbers + '], []]')\n    time.sleep(9)",
        "timeout",
    ),
    "half a million changes to its argument": (
        f"{SEND}def f(x):\n    send(json.dumps(['value', 3, [[0, 2]] * 400_000]))\n    time.sleep(9)",
        ("fail:AssertionError", "timeout"),
    ),
    "descriptors sent along": (
        "import array, os, socket\ndef f(x):\n"
        "    fds = array.array('i', [os.open('/dev/null', 0) for _ in range(20)])\n"
        "    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]\n"
        "    for fd, data in ((3, b'x'), (3, b'passed'), (4, b'\\0\\0\\0\\x10[\"value\", 3, []]')):\n"
        "        with socket.socket(fileno=os.dup(fd)) as own: own.sendmsg([data], rights)\n"
        "    return 2",
        "fail:AssertionError",
    ),
    "an end of its own for the check's loop": ("def f(x): raise StopIteration(2)", "fail:StopIteration"),
    # Who holds the wire.
    "a grandchild that answers when the program has gone": (
        "import os, time\ndef f(x):\n    if os.fork():\n        os._exit(0)\n    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n    time.sleep(0.1)\n    return x",
        ("fail:left_early", "fail:AssertionError"),
    ),
    "a grandchild that talks in between": (
        f"{SEND}if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
        "    try:\n        while True: send('[\"value\", null, []]')\n    except OSError: os._exit(0)\n"
        f"os.wait()\ntime.sleep(0.1)\n{RIGHT}",
        ("fail:left_early", "timeout"),
    ),
    "another program in its place": (
        "import os\nos.set_inheritable(3, True)\nos.set_inheritable(4, True)\n"
        "os.execv('/usr/local/bin/python3', ['python3', '-c', 'import os; os.write(3, b\"ready\");"
        ' os.read(4, 99); os.write(4, b"\\\\0\\\\0\\\\0\\\\x08{\\\\"f\\\\": 2}")\'])',
        ("fail:TypeError", "fail:left_early"),
    ),
    "its siblings' check in memory that was freed": (
        f"{SEARCH}\nhidden = {bytes(x ^ 1 for x in b'assert f(1) == 2')!r}\n"
        "find(bytes(x ^ 1 for x in hidden), (b'\\n', b'\\\\'))\n"
        + WRONG,
        "fail:AssertionError",
    ),
    # What the judge lives on.
    "all processes that there may be": (
        "import os, time\ntry:\n    while True:\n        if os.fork() == 0: time.sleep(99)\n"
        f"except BlockingIOError: pass\n{RIGHT}",
        "pass",
    ),
    "stopping the judge and the runner": (
        f"{OTHERS}import signal\nfor pid in (1, *others(), -1):\n"
        f"    try: os.kill(pid, signal.SIGSTOP)\n    except OSError: pass\n{RIGHT}",
        "pass",
    ),
    "the judge's descriptors": (
        f"{OTHERS}def f(x): return [os.listdir(f'/proc/{{pid}}/fd') for pid in others()]",
        "fail:PermissionError",
    ),
    "a descriptor out of the judge": (
        f"{OTHERS}{SYSCALL}def f(x):\n"
        "    for pid in others(): call(438, os.pidfd_open(pid), 3, 0)",
        ("fail:PermissionError", "fail:OSError"),
    ),
    "writing into the judge": (
        f"{OTHERS}{SYSCALL}def f(x):\n    for pid in others(): call(311, pid, 0, 0, 0, 0, 0)\n"
        "    for pid in others(): call(101, 16, pid, 0, 0)",
        ("fail:PermissionError", "fail:OSError", "fail:AssertionError"),
    ),
    "the judge's limits": (
        f"{OTHERS}import resource\ndef f(x):\n"
        "    for pid in others(): resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0))",
        "fail:PermissionError",
    ),
    "the judge's turn": (
        f"{OTHERS}def f(x):\n    for pid in others(): os.sched_setaffinity(pid, {{0}})\n"
        "    for pid in others(): os.setpriority(os.PRIO_PROCESS, pid, 19)",
        "fail:PermissionError",
    ),
    "being last in every queue": (
        "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass",
        "timeout",
    ),
    "the kernel's memory in sockets and pipes": (
        "import fcntl, os, socket\nkept = []\ndef stuff(fd):\n    os.set_blocking(fd, False)\n    try:\n"
        "        while True: os.write(fd, bytes(65536))\n    except BlockingIOError: pass\n"
        "for _ in range(12):\n    a, b = socket.socketpair()\n    r, w = os.pipe()\n"
        "    kept += [a, b]\n    fcntl.fcntl(w, 1031, 1 << 20)\n    stuff(a.fileno())\n    stuff(w)\n"
        + RIGHT,
        ("pass", "fail:PermissionError"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_the_judge_s_word_stays_its_own(name, verdict_on):
    source, expected = ATTACKS[name]
    assert verdict_on(source) in ((expected,) if isinstance(expected, str) else expected)


def test_a_program_can_t_choose_how_its_siblings_are_judged(box: SandboxBox):
    """A check that is once found to be code is judged so ever after."""
    check = "assert f(1) == 2  # its own, so that nobody has found that out before\n"
    lie = Program(
        source=ATTACKS["a module that nobody has, and that can be called"][0], check=check
    )
    results = box.run([lie, Program(source=RIGHT, check=check)])
    assert [(result.passed, result.apart) for result in results] == [(False, True), (True, True)]


def test_an_exception_does_not_end_a_check_s_loop(verdict_on):
    loop = "for y in map(f, [1]):\n    assert y == 2\n"
    assert verdict_on("def f(x): raise StopIteration", loop) == "fail:StopIteration"


def test_a_value_too_long_for_the_wire_does_not_change_the_judge(verdict_on):
    """Nearly 4 MiB come back from the first call, and more than that goes into the second."""
    source = (
        "class A:\n    def __eq__(self, _): return True\n"
        "def g(x): return '\\x00' * 690_000\ndef f(x): return A()\n"
    )
    assert verdict_on(source, "assert f(g(1) + g(1)) == 2\n") == "fail:AssertionError"


def test_a_check_may_hand_over_much(verdict_on):
    check = "assert f('x' * 6_000_000) == 6_000_000\n"
    assert verdict_on("def f(x): return len(x)", check) == "pass"

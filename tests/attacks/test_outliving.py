"""Programs that leave something for the next one: processes, files, memory. The next one looks for it."""

import pytest

from sandbox import Exchange, Program, SandboxBox
from sandbox.containers import FIRST_UID
from tests.attacks.test_the_judges_wire import SEARCH

pytestmark = pytest.mark.docker

FORKED = "import os, signal, time\nif os.fork() == 0:\n"
DAEMON = "    os.setsid()\n    if os.fork(): os._exit(0)\n"
LOOK_AROUND = Program(
    source="import os, glob\n"
    "seen = {pid: open(f'/proc/{pid}/stat').read() for pid in os.listdir('/proc') if pid.isdigit()}\n"
    "uids = sorted(os.stat(f'/proc/{pid}').st_uid for pid in seen)\n"
    f"uids.remove({FIRST_UID}) if {FIRST_UID} in uids else None\n"  # the judge
    "assert uids == [0, 0, os.getuid()], seen\n"  # the runner, its steward, the program
    "assert os.listdir('/tmp') == [os.path.basename(os.getcwd())], os.listdir('/tmp')\n"
    "assert os.listdir('.') == [], os.listdir('.')\n"
    "for table in ('shm', 'msg', 'sem'):\n"
    "    assert len(open(f'/proc/sysvipc/{table}').readlines()) == 1, table\n"
    "with open('space', 'wb') as file: file.write(bytes(3 << 20))\n"
    "memory = bytearray(64 << 20)\n",
    check="pass",
)

LEAVINGS = {
    "a child that sleeps": FORKED + "    time.sleep(99)",
    "a child that ignores signals": FORKED
    + "    for s in range(1, 32):\n        try: signal.signal(s, signal.SIG_IGN)\n"
    "        except (OSError, ValueError): pass\n    time.sleep(99)",
    "a daemon, twice forked": FORKED + DAEMON + "    time.sleep(99)",
    "a daemon that writes forever": FORKED + DAEMON + "    n = 0\n    while True:\n        n += 1\n"
    "        try: open(f'/tmp/x{n % 50}', 'w').write('x' * 1000)\n        except OSError: pass",
    "a daemon that forks forever": FORKED
    + DAEMON
    + "    while True:\n        try:\n            if os.fork(): os._exit(0)\n        except OSError: pass",
    "a daemon that holds the channel": FORKED + DAEMON + "    time.sleep(99)\nos._exit(0)",
    "another interpreter": "import subprocess\n"
    "subprocess.Popen(['/usr/local/bin/python3', '-c', 'import time; time.sleep(99)'],"
    " start_new_session=True)",
    "a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()",
    "files": "for n in range(100): open(f'/tmp/{n}.txt', 'w').write('x' * 10000)",
    "a folder that nobody may enter": "import os\nos.makedirs('a/b/c')\nopen('a/b/c/d', 'w')\n"
    "os.chmod('a/b', 0)\nos.chmod('a', 0)\nos.chmod('.', 0)",
    "sticky folders": "import os\nos.mkdir('/tmp/s')\nos.chmod('/tmp/s', 0o1777)\nopen('/tmp/s/x', 'w')",
    "folders deeper than a path is long": "import os\nfor _ in range(240):\n"
    "    os.mkdir('x' * 100)\n    os.chdir('x' * 100)",
    "links to what must stay": "import os\nos.symlink('/usr', 'a')\nos.symlink('/', '/tmp/b')\n"
    "os.symlink('.', 'loop')",
    "names that wipers trip over": "import os\nfor name in ('-rf', ' ', '\\n', '*', '.x', 'é'):\n"
    "    open(name, 'w')\nopen(b'\\xff\\xfe', 'w')\nos.mkfifo('pipe')",
    "a socket file": "import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('sock')",
    "memory": "x = bytearray(100 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1",
    "all of the disk": "import os\nfor n in range(99):\n    try: open(str(n), 'wb').write(bytes(1 << 20))\n"
    "    except OSError: break",
}


def verdicts_of(source: str) -> tuple[str, ...]:
    """What it gets itself; one that leaves a process that never rests may not get to its end in time."""
    if "while True" in source:
        return ("pass", "timeout")
    return ("fail:left_early",) if "os._exit(0)" in source[-12:] else ("pass",)


@pytest.mark.parametrize("name", LEAVINGS)
def test_nothing_is_left_for_the_next_program(name: str, box: SandboxBox) -> None:
    before, after = box.run([Program(source=LEAVINGS[name], check="pass"), LOOK_AROUND])
    assert before.verdict in verdicts_of(LEAVINGS[name])
    assert after.passed, after.detail


def test_a_program_sees_nothing_of_the_one_before(box: SandboxBox) -> None:
    marker = "Br" + "unhilde" * 3
    secret = Program(source=f"secret = {marker!r}", check=f"assert secret == {marker!r}")
    source = (
        "import gc, sys\nframe, seen = sys._getframe(), [gc.get_objects()]\ngc.unfreeze()\n"
        "seen.append(gc.get_objects())\nwhile frame:\n"
        "    seen.append([frame.f_locals, frame.f_globals])\n    frame = frame.f_back\n"
        "assert not any(chr(66) + 'runhilde' in repr(o) for s in seen for o in s)\n"
    )
    before, after = box.run([secret, Program(source=source, check="pass")])
    assert before.passed
    assert after.passed, after.detail


@pytest.mark.parametrize("where", ["check", "message", "source", "output"])
def test_what_was_freed_holds_nothing_of_the_program_before(where: str, box: SandboxBox) -> None:
    marker = "Brunhilde" * 40 + "!"
    expected = (Exchange(stdin="", stdout=marker),)
    first = {
        "check": Program(source="f = 1", check=f"assert f == {marker!r}"),
        "message": Program(source="", check=f"raise ValueError({marker!r})"),
        "source": Program(source=f"f = {marker!r}", check="pass"),
        "output": Program(source="print('Brunhilde' * 40 + '!')", exchanges=expected),
    }[where]
    search = f"{SEARCH}find(b'Brunhilde', b'!')\n"
    seeing = Program(source=f"{SEARCH}f = b'Brun' + b'hilde!'\nfind(f[:-1], b'!')", check="pass")
    box.run([first])
    *_, found, seen = box.run([first, Program(source=search, check="pass"), seeing])
    assert found.passed, found.detail
    assert seen.exception == "LookupError"  # it would have been found


def test_every_program_has_its_own_uid(box: SandboxBox) -> None:
    say = Program(
        source="import os\nraise ValueError(os.getuid(), os.getgid(), os.getgroups())", check=""
    )
    said = {result.detail for result in box.run([say] * 5)}
    assert len(said) == 5
    assert all("[])" in detail for detail in said)

"""Programs that end before the check has returned, in the hope that a clean exit counts as a pass."""

import pytest

pytestmark = pytest.mark.docker

AS_CODE = "locals()\nassert f(1) == 2\n"
WRONG = "def f(x):\n    return x\n"

ATTACKS = {
    "sys.exit": ("import sys\nsys.exit(0)", "fail:SystemExit"),
    "exit": ("exit()", "fail:SystemExit"),
    "quit": ("quit()", "fail:SystemExit"),
    "raise SystemExit": ("raise SystemExit", "fail:SystemExit"),
    "an heir of SystemExit": (
        "class Done(SystemExit): pass\nraise Done(0)",
        "fail:Done",
    ),
    "exit when called": ("def f(x):\n    exit(0)", "fail:SystemExit"),
    "os._exit": ("import os\nos._exit(0)", "fail:left_early"),
    "os._exit when called": ("import os\ndef f(x):\n    os._exit(0)", "fail:left_early"),
    "os._exit in a thread": (
        "import os, threading, time\n"
        "threading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(9)",
        "fail:left_early",
    ),
    "exec of another program": (
        "import os\nos.execv('/usr/local/bin/python3', ['python3', '-c', 'pass'])",
        "fail:left_early",
    ),
    "os.abort": ("import os\nos.abort()", "fail:killed"),
    "killing itself": ("import os\nos.kill(os.getpid(), 9)", "fail:killed"),
    "killing its group": ("import os\nos.killpg(0, 9)", "fail:killed"),
    "an alarm": ("import signal, time\nsignal.alarm(1)\ntime.sleep(9)", "fail:killed"),
    "a null pointer": ("import ctypes\nctypes.string_at(0)", "fail:killed"),
    "a handler that exits": (
        "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *_: os._exit(0))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)",
        "fail:left_early",
    ),
    "an atexit hook": (
        f"import atexit, os\natexit.register(os._exit, 0)\n{WRONG}",
        "fail:AssertionError",
    ),
    "an excepthook": (
        f"import os, sys\nsys.excepthook = lambda *_: os._exit(0)\n{WRONG}",
        "fail:AssertionError",
    ),
    "a parent that leaves its child to answer": (
        f"import os, time\nif os.fork():\n    os._exit(0)\ntime.sleep(5)\n{WRONG}",
        "fail:left_early",
    ),
    "a child that leaves": (
        f"import os\nif os.fork() == 0:\n    os._exit(0)\n{WRONG}",
        "fail:AssertionError",
    ),
    "closing every descriptor": (f"import os\nos.closerange(0, 99)\n{WRONG}", "fail:left_early"),
    "os._exit taken away": (
        f"import os\nos._exit = lambda _: None\n{WRONG}",
        "fail:AssertionError",
    ),
    "a KeyboardInterrupt": ("raise KeyboardInterrupt", "fail:KeyboardInterrupt"),
    "an exception without Exception": ("class E(BaseException): pass\nraise E", "fail:E"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_leaving_early_is_never_a_pass(name, verdict_on):
    source, expected = ATTACKS[name]
    assert verdict_on(source) == expected
    assert verdict_on(source, AS_CODE) == expected

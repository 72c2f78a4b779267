"""Programs that say "passed" themselves, make the check say so, or read the answer from it."""

import pytest

pytestmark = pytest.mark.docker

AS_CODE = "locals()\nassert f(1) == 2\n"
WRONG = "def f(x):\n    return x\n"
CHECK_WITH_BUILTINS = "assert all([abs(f(1)) == 2])\n"

ATTACKS = {
    "printing": (f"print('passed')\nprint('ok', flush=True)\n{WRONG}", "fail:AssertionError"),
    "words on every descriptor": (
        "import os\nfor d in range(64):\n    for word in (b'passed', b'passed\\0' + b'0' * 32):\n"
        f"        try: os.write(d, word)\n        except OSError: pass\n{WRONG}",
        "fail:left_early",  # what it says on the judge's wire makes no sense
        "fail:AssertionError",
    ),
    "words on every descriptor, then away": (
        "import os\nfor d in range(64):\n    for word in (b'ready', b'passed\\0'):\n"
        "        try: os.write(d, word)\n        except OSError: pass\nos._exit(0)",
        "fail:left_early",
    ),
    "a word too early, then away": (
        "import os\nos.write(3, b'ready')\nos._exit(0)",
        "fail:left_early",
    ),
    "a flood of words": (
        "import os\nwhile True:\n    try: os.write(3, b'passed\\0' + os.urandom(16).hex().encode())\n"
        "    except OSError: pass\n",
        "timeout",
    ),
    "an answer in the worker's own form": (
        "import json, os, struct\nbody = json.dumps({'outcome': 'passed', 'exception': None,"
        " 'detail': '', 'duration_s': 0}).encode()\nfor d in range(64):\n"
        "    try: os.write(d, struct.pack('>I', len(body)) + body)\n    except OSError: pass\n" + WRONG,
        ("fail:NameError", "fail:left_early"),  # its words are taken for its names
        "fail:AssertionError",
    ),
    "other builtins": (
        f"import builtins\nbuiltins.all = lambda _: True\nbuiltins.abs = lambda _: 2\n{WRONG}",
        "fail:AssertionError",
    ),
    "no AssertionError": (
        f"import builtins\ndel builtins.AssertionError\nbuiltins.BaseException = ()\n{WRONG}",
        "fail:AssertionError",
    ),
    "another exec and compile": (
        f"import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\n{WRONG}",
        "fail:AssertionError",
    ),
    "other modules under the runner": (
        "import sys\nfor name in ('os', 'json', 'signal', 'socket', 'struct', 'builtins'):\n"
        f"    sys.modules[name] = None\n{WRONG}",
        "fail:AssertionError",
    ),
    "a trace function": (
        "import sys\ndef skip(frame, event, arg):\n    frame.f_trace_lines = False\n    return skip\n"
        f"sys.settrace(skip)\nsys.setprofile(skip)\n{WRONG}",
        "fail:AssertionError",
    ),
    "reading the check before it is there": (
        "import gc, sys\nframe, seen = sys._getframe(), []\nwhile frame:\n"
        "    seen += [frame.f_locals, frame.f_globals]\n    frame = frame.f_back\n"
        "seen += [gc.get_objects()]\n"
        "seen = [v for s in seen for v in (s.values() if isinstance(s, dict) else s)]\n"
        "if any(chr(97) + 'ssert f(1)' in repr(value) for value in seen):\n"
        "    raise LookupError('the check is in reach')\n" + WRONG,
        "fail:AssertionError",
    ),
    "reading the nonce before it is there": (
        "import sys\nframe = sys._getframe()\nwhile frame:\n"
        "    if 'nonce' in frame.f_locals: raise LookupError('the nonce is in reach')\n"
        f"    frame = frame.f_back\n{WRONG}",
        "fail:AssertionError",
    ),
    "swallowing the failure": (
        "class Quiet:\n    def __eq__(self, other): return False\n    def __bool__(self): return True\n"
        "def f(x): return Quiet()",
        "fail:AssertionError",
    ),
}  # fmt: skip

# A test that is data is judged apart: these get at nothing but their own process, and fail there. Where a
# test stays code, source and check share a process, and some can't be told from a right answer (README).
APART = {  # the verdict where the test is data, and where it is code
    "an object equal to everything": (
        "class A:\n    def __eq__(self, _): return True\ndef f(x): return A()",
        "fail:AssertionError",
        "pass",
    ),
    "a list equal to everything": (
        "class A(list):\n    def __eq__(self, _): return True\ndef f(x): return A()",
        "fail:AssertionError",
        "pass",
    ),
    "a number equal to everything": (
        "class A(int):\n    def __eq__(self, _): return True\ndef f(x): return A()",
        "fail:AssertionError",
        "pass",
    ),
    "a text equal to everything": (
        "class A(str):\n    def __eq__(self, _): return True\ndef f(x): return A('no')",
        "fail:AssertionError",
        "pass",
    ),
    "an object that poses as a number": (
        "class A:\n    __class__ = int\n    def __eq__(self, _): return True\n"
        "    def __index__(self): return 2\ndef f(x): return A()",
        "fail:AssertionError",
        "pass",
    ),
    "expected values out of the check's frame": (
        "import sys\ndef f(x):\n"
        "    return [c for c in sys._getframe(1).f_code.co_consts if c not in (None, x)][0]",
        "fail:IndexError",
        "pass",
    ),
    "expected values out of all code objects": (
        "import gc, sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        if frame.f_code.co_filename == '<check>':\n"
        "            return [c for c in frame.f_code.co_consts if c not in (None, x)][0]\n"
        "        frame = frame.f_back\n",
        "fail:AssertionError",
        "pass",
    ),
    "the nonce out of the runner's frames": (
        "import os, sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        if 'nonce' in frame.f_locals:\n"
        "            os.write(3, b'passed\\0' + frame.f_locals['nonce'])\n        frame = frame.f_back",
        "fail:AssertionError",
        "pass",
    ),
    "a pass said for the judge": (
        "import os\ndef f(x):\n    for d in range(3, 32):\n"
        "        try: os.write(d, b'passed')\n        except OSError: pass\n    os._exit(0)",
        "fail:left_early",
        "fail:left_early",
    ),
    "values sent before they are asked for": (
        "import json, os, struct\nfor text in ({'f': 2}, ['value', None, []]):\n"
        "    body = json.dumps(text).encode()\n    os.write(4, struct.pack('>I', len(body)) + body)\n"
        + WRONG,
        "fail:TypeError",
        "fail:AssertionError",
    ),
    "an exception for an answer": (
        "class A(Exception):\n    def __eq__(self, _): return True\ndef f(x): raise A",
        "fail:A",
        "fail:A",
    ),
    "another AssertionError": (
        "class AssertionError(SystemExit): pass\ndef f(x): raise AssertionError(0)",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "what is no value on the wire": (
        "import os\ndef f(x):\n    body = b'[\"value\", [\"set\", [\"list\"]], []]'\n"
        "    os.write(4, len(body).to_bytes(4, 'big') + body)\n    import time\n    time.sleep(99)",
        "timeout",
        "timeout",
    ),
    "a value without an end on the wire": (
        "import os\ndef f(x):\n    while True: os.write(4, b'[' * 4096)",
        ("fail:BrokenPipeError", "fail:left_early"),
        "timeout",
    ),
    "a value that holds itself": (
        "def f(x):\n    x = []\n    x.append(x)\n    return x",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "a value too long to send": (
        "def f(x): return 'x' * (8 << 20)",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "a number too long to print": (
        "def f(x): return 1 << 99999",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "not a number": (
        "def f(x): return float('nan')",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "a text that is not Unicode": (
        "def f(x): return '\\udc80\\x00'",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "what can't be pickled": (
        "import threading\ndef f(x): return threading.Lock()",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "an iterator without an end": (
        "import itertools\ndef f(x): return itertools.count()",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "other encoders": (
        "import json, operator, struct\njson.dumps = json.loads = operator.eq = lambda *a, **k: True\n"
        + WRONG,
        ("fail:TypeError", "fail:left_early"),
        "fail:AssertionError",
    ),
    "killing the judge": (
        "import os\ndef f(x):\n    for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
        "        if pid != os.getpid():\n            try: os.kill(pid, 9)\n"
        "            except PermissionError: pass\n    return x",
        "fail:AssertionError",
        "fail:AssertionError",
    ),
    "the judge's memory": (
        "import os\ndef f(x):\n    me = str(os.getpid())\n"
        "    for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "        if pid not in ('1', me): open(f'/proc/{pid}/mem', 'rb')\n    return x",
        "fail:PermissionError",
        "fail:PermissionError",  # there is no judge then, but the steward
    ),
}  # fmt: skip


def verdicts(expected: str | tuple[str, ...]) -> tuple[str, ...]:
    return (expected,) if isinstance(expected, str) else expected


@pytest.mark.parametrize("name", ATTACKS)
def test_a_pass_is_not_forged(name, verdict_on):
    source, *expected = ATTACKS[name]
    assert verdict_on(source) in verdicts(expected[0])
    assert verdict_on(source, AS_CODE) in verdicts(expected[-1])


def test_the_check_uses_python_s_builtins_and_not_the_program_s(verdict_on):
    source = f"import builtins\nbuiltins.all = builtins.any = lambda _: True\n{WRONG}"
    for way in ("", "locals()\n"):
        assert verdict_on(source, way + CHECK_WITH_BUILTINS) == "fail:AssertionError"


@pytest.mark.parametrize("name", APART)
def test_what_is_judged_apart_does_not_pass_by_posing(name, verdict_on):
    source, as_data, as_code = APART[name]
    assert verdict_on(source) in verdicts(as_data)
    assert verdict_on(source, AS_CODE) in verdicts(as_code)

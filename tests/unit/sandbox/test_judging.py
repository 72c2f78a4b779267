"""A check judged apart says what it would have said together with its program."""

import socket
import threading
from typing import Any

import pytest

from sandbox.judging import NotApart, answer_calls, free_names, judge


def describe(error: BaseException) -> bytes:
    return f"{type(error).__name__}\0{error}".encode()


def judged(source: str, check: str) -> str:
    """Judges in this process, with both ends of the wire in hand; says what came out."""
    ours, theirs = socket.socketpair()
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(source, namespace)
    program = threading.Thread(target=answer_calls, args=(theirs, namespace, describe))
    program.start()
    try:
        return judge(ours, check, lambda text, _, names: exec(text, names))
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return f"{type(error).__name__}: {error}"
    finally:
        ours.close()
        program.join()
        theirs.close()


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge makes itself the main module; here it must not stay so."""
    import sys

    for name in ("program", "__main__"):
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name, sys))


SAME = "class A:\n  __eq__ = lambda *_: 1\n"
LIST = "class A(list):\n  __eq__ = lambda *_: 1\n"
CASES = [
    ("def f(x): return x + 1", "assert f(1) == 2", "passed"),
    ("def f(x): return x", "assert f(1) == 2", "AssertionError: "),
    ("def f(x): return 1 / 0", "f(1)", "ZeroDivisionError: division by zero"),
    ("def f(x): return x + 1e-9", "assert abs(f(1) - 1) < 1e-6", "passed"),
    ("import math\ndef f(x): return 0.1 + 0.2", "assert math.isclose(f(1), 0.3)", "passed"),
    ("def f(x): return x", "import math\nassert math.isclose(f(1), 1)", "passed"),
    ("def f(x): return 1", "assert math.isclose(f(1), 1)", "NameError: name 'math' is not defined"),
    ("", "assert f(1) == 2", "NameError: name 'f' is not defined"),
    ("def f(*a, k=0): return (a, k)", "assert f(1, *[2], k=[3]) == ((1, 2), [3])", "passed"),
    ("def f(x): x.sort()", "x = [2, 1]\nf(x)\nassert x == [1, 2]", "passed"),
    ("def f(x): x.pop(1)", "x = {1: 2}\nf(x)\nassert x == {}", "passed"),
    ("def f(x): yield from x", "assert list(f([1, 2])) == [1, 2]", "passed"),
    ("def f(x): yield from x", "assert f([1]) == [1]", "AssertionError: "),
    ("def f(x): return map(str, x)", "assert tuple(f([1, 2])) == ('1', '2')", "passed"),
    ("class P:\n  def __init__(s, x): s.x = x\ndef f(p): return p[0].x", "assert f([P(3)]) == 3", "passed"),
    ("class P:\n  def __str__(s): return 'p'\ndef f(): return P()", "assert str(f()) == 'p'", "passed"),
    ("class E(ValueError): pass\ndef f(): raise E('x')", "try: f()\nexcept ValueError: pass", "passed"),
    ("def sum(a, b): return a * b", "assert sum(3, 4) == 12", "passed"),
    ("def sum(x): return 0", "def check(g):\n    assert g([1]) == 1\ncheck(sum)", "AssertionError: "),
    ("def sum(x): return x[0]", "import math\ndef check(g):\n    assert g([1]) == 1\ncheck(sum)", "passed"),
    ("from datetime import date\ndef f(x): return date(2020, 1, x)",
     "from datetime import date\nassert f(2) == date(2020, 1, 2)", "passed"),
    ("import numpy as np\ndef f(x): return np.array([1, 2]) * x",
     "import numpy as np\nassert np.array_equal(f(2), np.array([2, 4]))", "passed"),
    ("def f(x): x += 1", "import numpy as np\nx = np.zeros(2)\nf(x)\nassert x.sum() == 2", "passed"),
    ("def f(x): return x", "for dir in [1]:\n    assert f(dir) == 1", "passed"),
    ("def f(x): return x\nall = lambda _: True", "assert all(f(x) == 0 for x in [1])", "AssertionError: "),
    ("def f(x): return x", "for i in range(9):\n    assert f(i) == i, str(i)", "passed"),
    ("def f(x): return x", "def check(g):\n    assert g(1) is not None\ncheck(f)", "passed"),
    ("def f(x): return None", "assert f(1) is None", "passed"),
    ("def f(x): return x == 1", "assert f(1) is True", "passed"),
    ("def f(g): return g(1)", "assert f(lambda x: x) == 1", "together"),
    ("def f(x): return x", "assert eval('f(1)') == 1", "together"),
    (SAME + "def f(x): return A()", "assert f(1) == 2", "AssertionError: "),
    (SAME + "def f(x): return [A()]", "assert f(1) == [2]", "AssertionError: "),
    ("class A:\n  __ne__ = lambda *_: 0\ndef f(x): return A()", "assert not f(1) != 2", "AssertionError: "),
    (LIST + "def f(x): return A()", "assert f(1) == 2", "AssertionError: "),
    ("class A:\n  __len__ = lambda _: 3\ndef f(x): return A()", "assert len(f(1)) == 3", "passed"),
    ("class A:\n  __bool__ = lambda _: False\ndef f(x): return A()", "assert not f(1)", "passed"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "check", "expected"), CASES)
def test_a_check_judged_apart_says_what_it_should(source: str, check: str, expected: str) -> None:
    assert judged(source, check) == expected


def test_numpy_does_not_take_the_program_s_word_for_where_an_array_is() -> None:
    source = (
        "class A:\n  __array_interface__ = {'data': bytes(8), 'shape': (1,), 'typestr': '<f8', 'version': 3}"
        "\ndef f(x): return A()"
    )
    assert judged(source, "import numpy\nassert numpy.allclose(f(1), 0)").startswith("TypeError")


def test_the_names_of_a_check_are_those_that_it_does_not_bind() -> None:
    check = "import math\ndef check(g):\n    x = 1\n    assert g(x) == h(math.pi)\ncheck(f)"
    assert free_names(check) == ["f", "h"]
    with pytest.raises(NotApart):
        free_names("assert f(1) in globals()")

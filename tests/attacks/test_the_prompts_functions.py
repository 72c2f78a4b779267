"""Answers that define the prompt's own functions anew, which the test uses to try them with.

Three of HumanEval's tests do that (32, 38, 50). What the prompt defines goes into the check
(`workers.programs`), so an answer is measured by the prompt's functions and not by its own. Where a test
measures an answer by the answer itself, no sandbox can tell.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import Program, SandboxBox
from workers.programs import assemble, task_of

pytestmark = pytest.mark.docker

CODED: dict[str, Any] = {
    "prompt": "def encode(xs):\n    return xs[1:] + xs[:1]\n\n\ndef decode(xs):\n    '''Undo it.'''\n",
    "entry_point": "decode",
    "test": "def check(candidate):\n    assert candidate(encode([1, 2, 3])) == [1, 2, 3]\n",
}
ROOT: dict[str, Any] = {
    "prompt": "from math import pow\n\n\ndef line(k, x):\n    return pow(k, 1) - x\n\n\n"
    "def root(k):\n    '''Where the line is 0.'''\n",
    "entry_point": "root",
    "test": "def check(candidate):\n    for k in range(9):\n        assert line(k, candidate(k)) == 0\n",
}
ITSELF: dict[str, Any] = {
    "prompt": "def third(xs):\n    '''Sort every third.'''\n",
    "entry_point": "third",
    "test": "def check(candidate):\n    assert candidate([3, 2, 1]) == third([3, 2, 1])\n",
}
BUILTIN: dict[str, Any] = {
    "prompt": "def sum(xs):\n    '''Add them up.'''\n",
    "entry_point": "sum",
    "test": "import math\n\n\ndef check(candidate):\n    assert math.isclose(candidate([1, 2]), 3)\n",
}

ATTACKS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a right answer": (CODED, "    return xs[-1:] + xs[:-1]\n", "pass"),
    "an encoder that does nothing": (
        CODED,
        "    return xs\n\ndef encode(xs):\n    return xs\n",
        "fail:AssertionError",
    ),
    "a right answer with a class of its own": (
        CODED,
        "    return xs[-1:] + xs[:-1]\n\nclass encode: pass\n",
        "pass",
    ),
    "a right root": (ROOT, "    return k\n", "pass"),
    "a line that is 0 everywhere": (
        ROOT,
        "    return 7\n\ndef line(k, x):\n    return 0\n",
        "fail:AssertionError",
    ),
    "a test that compares an answer with itself": (ITSELF, "    return xs\n", "pass"),
    "a wrong answer under a name of Python's": (BUILTIN, "    return 0\n", "fail:AssertionError"),
    "a right answer under a name of Python's": (BUILTIN, "    return xs[0] + xs[1]\n", "pass"),
}
HUMANEVAL = {
    "HumanEval/32": "    return 0\n\ndef poly(xs, x):\n    return 0\n",
    "HumanEval/38": "    return s\n\ndef encode_cyclic(s):\n    return s\n",
    "HumanEval/50": "    return s\n\ndef encode_shift(s):\n    return s\n",
}


def program_of(row: dict[str, Any], answer: str) -> Program:
    """As a worker makes it."""
    task = task_of(row)
    return task.program(assemble(task.prompt, answer, task.entry_point, "completions"))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_answer_is_measured_by_the_prompt_s_functions(name: str, box: SandboxBox) -> None:
    row, answer, expected = ATTACKS[name]
    [result] = box.run([program_of(row, answer)])
    assert (result.verdict, result.apart) == (expected, True)


@pytest.mark.parametrize("task_id", HUMANEVAL)
def test_so_are_answers_to_humaneval_s_three(task_id: str, box: SandboxBox, data_dir: Path) -> None:
    with gzip.open(data_dir / "problems" / "HumanEval.jsonl.gz", "rt") as lines:
        row = next(row for row in map(json.loads, lines) if row["task_id"] == task_id)
    answers = [row["canonical_solution"], HUMANEVAL[task_id]]
    results = box.run([program_of(row, answer) for answer in answers])
    assert [result.verdict for result in results] == ["pass", "fail:AssertionError"]

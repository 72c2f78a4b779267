"""The synthetic programs are what the surface takes them for: on HumanEval's tests, right or wrong."""

import json
import subprocess
import sys

import pytest

from rehearsal import Problem
from rehearsal.programs import Program, right_programs, wrong_programs

from .test_recorded_data import HUMANEVAL, read

pytestmark = [pytest.mark.data, pytest.mark.slow]

# The programs are made by us from the canonical solutions, so a plain process may run them.
_RUN = """
import contextlib, io, json, sys
verdicts = []
for source in json.load(sys.stdin):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "program", "exec"), {})
        verdicts.append(True)
    except Exception:
        verdicts.append(False)
print(json.dumps(verdicts))
"""


def test_right_programs_pass_and_wrong_ones_fail_on_all_of_humaneval() -> None:
    rows = read(HUMANEVAL)
    sources: list[str] = []
    expected: list[bool] = []
    for row in rows:
        problem = Problem(
            id=row["task_id"],
            prompt=row["prompt"],
            solution=row["canonical_solution"],
            entry_point=row["entry_point"],
        )

        def add(programs: tuple[Program, ...], is_right: bool, row: dict[str, str] = row) -> None:
            for program in programs:
                assert program.continuation is not None
                for source in (program.whole, row["prompt"] + program.continuation):
                    sources.append(f"{source}\n{row['test']}\ncheck({row['entry_point']})\n")
                    expected.append(is_right)

        add(right_programs(problem), True)
        add(wrong_programs(problem), False)
    child = subprocess.run(
        [sys.executable, "-I", "-c", _RUN],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    verdicts = json.loads(child.stdout)
    mistaken = [
        source
        for source, *pair in zip(sources, verdicts, expected, strict=True)
        if pair[0] != pair[1]
    ]
    assert mistaken == []
    assert expected.count(True) > 3 * len(rows) < expected.count(False)

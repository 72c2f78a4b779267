"""The bundled starter dataset: each problem is well formed, solvable, quick, and not trivially won.

The programs here are the project's own, so they run in this process; what a model writes must not.
"""

import ast
import doctest
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATASET = Path(__file__).parents[3] / "examples" / "starter.jsonl"
COLUMNS = {"task_id", "prompt", "entry_point", "canonical_solution", "test"}
# A check that takes this long would hold up a tuning run, which makes it thousands of times.
CHECK_TIMEOUT_S = 0.05
TRIVIAL_BODIES = [
    "    return None\n",
    "    return {first_argument}\n",
    "    raise NotImplementedError\n",
    "    return 0\n",
    "    return 1\n",
    "    return -1\n",
    "    return []\n",
    "    return {{}}\n",
    '    return ""\n',
    "    return True\n",
    "    return False\n",
]

Problem = dict[str, str]

PROBLEMS: list[Problem] = [
    json.loads(line) for line in DATASET.read_text(encoding="utf-8").splitlines()
]

each_problem = pytest.mark.parametrize(
    "problem", PROBLEMS, ids=[problem["entry_point"] for problem in PROBLEMS]
)


def load(problem: Problem, body: str) -> tuple[Callable[..., None], Callable[..., Any]]:
    """Run prompt, body and test as one program, and return its check and the function to check."""
    namespace: dict[str, Any] = {"__name__": "starter"}
    exec(f"{problem['prompt']}{body}\n{problem['test']}", namespace)
    return namespace["check"], namespace[problem["entry_point"]]


def entry_function(problem: Problem) -> ast.FunctionDef:
    """Return the syntax tree of the function that the prompt begins and the solution completes."""
    module = ast.parse(problem["prompt"] + problem["canonical_solution"])
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == [problem["entry_point"]]
    return functions[0]


def test_there_are_at_least_thirty_problems() -> None:
    assert len(PROBLEMS) >= 30


def test_task_ids_count_up_from_zero() -> None:
    assert [problem["task_id"] for problem in PROBLEMS] == [
        f"starter/{index}" for index in range(len(PROBLEMS))
    ]


def test_no_two_problems_ask_for_the_same_function() -> None:
    assert len({problem["entry_point"] for problem in PROBLEMS}) == len(PROBLEMS)


def test_difficulties_vary_from_a_line_or_two_to_a_small_program() -> None:
    line_counts = [len(problem["canonical_solution"].splitlines()) for problem in PROBLEMS]
    assert min(line_counts) <= 3
    assert max(line_counts) >= 30


@each_problem
def test_a_problem_has_the_five_columns_of_humaneval_as_text(problem: Problem) -> None:
    assert problem.keys() == COLUMNS
    assert all(isinstance(value, str) and value for value in problem.values())


@each_problem
def test_the_solution_continues_the_prompt_and_survives_the_usual_stop_strings(
    problem: Problem,
) -> None:
    assert problem["prompt"].endswith('"""\n')
    unindented = [
        line
        for line in problem["canonical_solution"].splitlines()
        if line and not line.startswith("    ")
    ]
    assert unindented == []


@each_problem
def test_only_the_prompt_imports(problem: Problem) -> None:
    function = entry_function(problem)
    imports = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert imports == []


@each_problem
def test_the_test_asserts_at_least_five_times(problem: Problem) -> None:
    asserts = [n for n in ast.walk(ast.parse(problem["test"])) if isinstance(n, ast.Assert)]
    assert len(asserts) >= 5


@each_problem
def test_the_canonical_solution_passes_its_own_check_in_no_time(problem: Problem) -> None:
    check, candidate = load(problem, problem["canonical_solution"])
    # Processor time: a busy machine must not fail a quick program.
    started_s = time.process_time()
    check(candidate)
    assert time.process_time() - started_s < CHECK_TIMEOUT_S


@each_problem
def test_the_check_can_run_twice_on_one_solution(problem: Problem) -> None:
    check, candidate = load(problem, problem["canonical_solution"])
    check(candidate)
    check(candidate)


@each_problem
def test_the_examples_in_the_docstring_are_true(problem: Problem) -> None:
    _, candidate = load(problem, problem["canonical_solution"])
    names = {problem["entry_point"]: candidate}
    docstring = ast.get_docstring(entry_function(problem)) or ""
    examples = doctest.DocTestParser().get_doctest(
        docstring, names, problem["entry_point"], None, None
    )
    assert len(examples.examples) >= 2
    assert doctest.DocTestRunner(verbose=False).run(examples).failed == 0


@each_problem
@pytest.mark.parametrize("body", TRIVIAL_BODIES, ids=[body.strip() for body in TRIVIAL_BODIES])
def test_a_trivial_answer_fails(problem: Problem, body: str) -> None:
    first_argument = entry_function(problem).args.args[0].arg
    check, candidate = load(problem, body.format(first_argument=first_argument))
    with pytest.raises((AssertionError, NotImplementedError)):
        check(candidate)

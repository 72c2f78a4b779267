"""The programs that answers are made of: right ones are right, wrong ones are wrong, none hangs."""

import ast
from typing import Any

import pytest

from rehearsal import Problem
from rehearsal.answers import menu
from rehearsal.programs import Program, right_programs, wrong_programs


def _sources(problem: Problem, program: Program) -> list[str]:
    continued = [] if program.continuation is None else [problem.prompt + program.continuation]
    return [program.whole, *continued]


def _passes(source: str, entry_point: str, cases: list[tuple[tuple[Any, ...], Any]]) -> bool:
    scope: dict[str, Any] = {}
    exec(
        compile(source, "program", "exec"), scope
    )  # our own programs, made by the module under test
    try:
        return all(scope[entry_point](*arguments) == expected for arguments, expected in cases)
    except (TypeError, NotImplementedError):
        return False


CLAMP_CASES: list[tuple[tuple[Any, ...], Any]] = [((5, 0, 3), 3), ((-1, 0, 3), 0), ((2, 0, 3), 2)]


def test_right_programs_pass_and_wrong_ones_fail(clamp: Problem) -> None:
    for program in right_programs(clamp):
        assert all(_passes(source, "clamp", CLAMP_CASES) for source in _sources(clamp, program))
    for program in wrong_programs(clamp):
        assert not any(_passes(source, "clamp", CLAMP_CASES) for source in _sources(clamp, program))


def test_a_right_program_comes_with_and_without_its_docstring(clamp: Problem) -> None:
    with_docstring, without = right_programs(clamp)
    assert "Return x moved" in with_docstring.whole
    assert "Return x moved" not in without.whole


def test_a_solution_that_is_a_whole_program_is_never_given_as_a_continuation(
    total: Problem,
) -> None:
    programs = right_programs(total) + wrong_programs(total)
    assert all(program.continuation is None for program in programs)
    assert _passes(right_programs(total)[0].whole, "total", [(([1, 2],), 3)])
    assert not any(
        _passes(wrong.whole, "total", [(([1, 2],), 3)]) for wrong in wrong_programs(total)
    )


def test_the_wrong_form_of_a_plain_answer_has_another_number(eggs: Problem) -> None:
    assert right_programs(eggs)[0].whole == eggs.solution
    assert [wrong.whole for wrong in wrong_programs(eggs)] == ["2 * 3 = 6\n#### 7"]


def test_a_wrong_program_has_no_loop_that_the_solution_has_not(total: Problem) -> None:
    right = ast.dump(ast.parse(right_programs(total)[0].whole).body[0].body[1])  # type: ignore[attr-defined]
    for wrong in wrong_programs(total):
        loops = [
            node
            for node in ast.walk(ast.parse(wrong.whole))
            if isinstance(node, ast.For | ast.While)
        ]
        assert [ast.dump(loop) for loop in loops] in ([], [right])


@pytest.mark.parametrize(
    "solution", ["def broken(:\n", "def f(x): return x", "    return 1\n\ndef g():\n    pass\n"]
)
def test_any_solution_gives_a_menu(solution: str) -> None:
    problem = Problem(id="odd", prompt="def f(x):\n", solution=solution, entry_point="f")
    assert menu(problem, "chat").right
    assert menu(problem, "completions").wrong


def test_chat_answers_come_in_every_form_and_completions_are_bare(clamp: Problem) -> None:
    texts = {answer.text for answer in menu(clamp, "chat").right}
    assert any(text.startswith("```python\ndef clamp") for text in texts)
    assert any(text.startswith("```python\n    if") for text in texts)
    assert any(text.startswith("Here is") and not text.endswith("```") for text in texts)
    assert clamp.solution in texts
    assert all("```" not in answer.text for answer in menu(clamp, "completions").right)


def test_weights_of_a_kind_sum_to_one(clamp: Problem, total: Problem, eggs: Problem) -> None:
    for problem in (clamp, total, eggs):
        answers = menu(problem, "chat")
        for kind in (answers.right, answers.wrong, answers.off_format):
            assert sum(answer.weight for answer in kind) == pytest.approx(1)
            assert all(answer.code_end <= len(answer.text) for answer in kind)

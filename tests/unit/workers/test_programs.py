"""From an answer to a program, one test for each form that models give code in."""

from typing import Any

import pytest

from workers.programs import assemble, task_of

PROMPT = 'def double(x: int) -> int:\n    """Return twice x.\n    >>> double(2)\n    4\n    """\n'
BODY = "    return 2 * x\n"
WHOLE = PROMPT + BODY
HELPED = (
    'import math\n\n\ndef halve(x):\n    return x / 2\n\n\ndef double(x):\n    """Undo halve."""\n'
)


def run(source: str, *, name: str = "double") -> Any:
    """The function of a program of ours."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<test>", "exec"), namespace)
    return namespace[name]


def double(answer: str, *, api: Any = "chat", prompt: str = PROMPT) -> Any:
    return run(assemble(prompt, answer, "double", api))(21)


def test_a_continuation_follows_the_prompt_to_the_letter() -> None:
    assert assemble(PROMPT, BODY, "double", "completions") == WHOLE


def test_a_continuation_of_the_completions_api_is_not_mended() -> None:
    """Indented by three spaces it is the model's mistake, and counts as one."""
    wrong = "   return 2 * x\n"
    assert assemble(PROMPT, wrong, "double", "completions") == PROMPT + wrong


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(BODY, id="continuation"),
        pytest.param(f"```python\n{WHOLE}```", id="fence with a whole function"),
        pytest.param(f"```\n{WHOLE}```", id="fence without a language"),
        pytest.param(f"~~~py\n{WHOLE}~~~", id="fence of tildes"),
        pytest.param(f"```python\n{BODY}```", id="fence with a continuation"),
        pytest.param("```python\nreturn 2 * x\n```", id="fence with a dedented continuation"),
        pytest.param("```python\nif x:\n    return 2 * x\nreturn 0\n```", id="dedented blocks"),
        pytest.param(f"Sure!\n\n```python\n{WHOLE}```\n\nIt doubles x.", id="prose around a fence"),
        pytest.param(f"Sure!\n\n```python\n{WHOLE}", id="a fence that was not closed"),
        pytest.param(
            f"1. Code:\n\n   ```python\n{''.join('   ' + line for line in WHOLE.splitlines(True))}   ```",
            id="a fence in a list",
        ),
        pytest.param(WHOLE, id="a whole function without a fence"),
        pytest.param("def double(x):\n    return 2 * x", id="a whole function of its own"),
        pytest.param(
            f"<think>\nx + x? def double(x): return x\n</think>\n\n{WHOLE}", id="thoughts first"
        ),
        pytest.param(
            f"so 2 * x.\n</think>\n\n```python\n{WHOLE}```", id="thoughts without a beginning"
        ),
        pytest.param(WHOLE.replace("\n", "\r\n"), id="Windows newlines"),
        pytest.param("def double(x):\n\treturn 2 * x\n", id="tabs"),
        pytest.param("double = lambda x: 2 * x", id="a lambda"),
        pytest.param(
            "from operator import add\n\ndef double(x):\n    return add(x, x)", id="imports"
        ),
        pytest.param(
            "def twice(x):\n    return x * 2\n\ndef double(x):\n    return twice(x)\n",
            id="a helper before",
        ),
        pytest.param(
            "def double(x):\n    return twice(x)\n\ndef twice(x):\n    return x * 2\n",
            id="a helper after",
        ),
    ],
)
def test_every_form_gives_the_function(answer: str, api: str) -> None:
    assert double(answer, api=api) == 42


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("return 2 * x", id="an expression's statement"),
        pytest.param("y = x\n    return 2 * y", id="only the first line lost its indentation"),
        pytest.param("\treturn 2 * x", id="a body with a tab"),
        pytest.param("  y = x\n  return 2 * y", id="a body with two spaces"),
        pytest.param(f"Here it is:\n\n{WHOLE}\nThis doubles x.", id="prose around, no fence"),
        pytest.param(f"from what you say it follows:\n\n{WHOLE}", id="prose that begins like code"),
    ],
)
def test_a_chat_answer_may_lose_its_indentation_or_its_fence(answer: str) -> None:
    assert double(answer) == 42


def test_of_several_fences_the_one_with_the_function_counts() -> None:
    answer = f"```python\n{WHOLE}```\nUse it so:\n```python\nassert double(2) == 5\n```"
    assert double(answer) == 42


def test_fences_that_only_together_give_the_function_are_joined() -> None:
    answer = "```python\ndef double(x):\n```\nand its body:\n```python\n    return 2 * x\n```"
    assert double(answer, prompt="") == 42


def test_the_prompts_helpers_stay_at_hand_before_a_whole_function() -> None:
    answer = "```python\ndef double(x):\n    return math.floor(x / halve(1))\n```"
    assert double(answer, prompt=HELPED) == 42


def test_the_prompts_helpers_stay_at_hand_before_a_continuation() -> None:
    assert double("    return x / halve(1)\n", prompt=HELPED) == 42


def test_a_signature_without_docstring_begins_a_program_too() -> None:
    bare = "def double(x):\n"
    assert double("    return 2 * x\n", prompt=bare) == 42
    assert double(f"```python\n{WHOLE}```", prompt=bare) == 42


def test_a_prompt_without_a_last_newline_is_continued_on_a_new_line() -> None:
    assert double("    return 2 * x", prompt=PROMPT.rstrip("\n")) == 42


def test_imports_from_the_future_come_first() -> None:
    answer = (
        "from __future__ import annotations\n\ndef double(x: Number) -> Number:\n    return 2 * x"
    )
    assert double(answer) == 42


def test_the_models_own_tests_and_examples_are_left_out() -> None:
    answer = (
        "def double(x):\n    return 2 * x\n\n"
        "assert double(2) == 5\n"
        "if __name__ == '__main__':\n    print(double(int(input())))\n"
        "for i in range(3):\n    print(double(i))\n"
    )
    assert double(f"```python\n{answer}```") == 42


@pytest.mark.parametrize(
    "behind", ["print(double(input()))\n", "from __future__ import annotations\n", "# the end\n"]
)
def test_a_continuation_that_is_python_stands_with_all_that_is_behind_it(behind: str) -> None:
    """A right function whose program ends in an error is what was bought, and counts as one."""
    answer = f"{BODY}\n\n{behind}"
    assert assemble(PROMPT, answer, "double", "completions") == PROMPT + answer


def test_what_a_function_needs_after_it_is_kept() -> None:
    answer = "def double(x):\n    return FACTOR * x\n\nFACTOR = 2\n"
    assert double(answer) == 42


def test_a_continuation_is_cut_where_a_main_program_was_cut_in_half() -> None:
    answer = BODY + "\n\ndef main():\n    print(double("
    assert double(answer, api="completions") == 42


def test_an_answer_cut_by_its_length_stays_broken() -> None:
    source = assemble(PROMPT, "    for i in range(", "double", "chat")
    with pytest.raises(SyntaxError):
        compile(source, "<test>", "exec")


def test_a_docstring_alone_is_a_program_that_does_nothing() -> None:
    assert double('    """Return twice x, as said."""\n') is None


@pytest.mark.parametrize("answer", ["", "   \n", "<think>never ended: def double(x): return 42"])
def test_an_empty_answer_is_a_program_that_does_nothing(answer: str) -> None:
    assert double(answer) is None


def test_prose_is_no_program() -> None:
    source = assemble(PROMPT, "To solve this, think first.\nThen write it.", "double", "chat")
    with pytest.raises(SyntaxError):
        compile(source, "<test>", "exec")


@pytest.mark.parametrize(
    "answer",
    [
        "(" * 100_000,
        "[" * 90 + "-" * 50_000 + "1" + "]" * 90,
        "x = " + "+".join(["1"] * 40_000),
        "x = " + "not " * 20_000 + "1",
        "".join(" " * i + "if x:\n" for i in range(300)),
        "def double(x):\n    return '\x00'\n",
        "def double(x):\n    return '\ud800'\n",
        "a" * 3_000_000,
        "```\n" * 20_000,
    ],
    ids=["brackets", "signs", "sum", "nots", "blocks", "nul", "surrogate", "long", "fences"],
)
def test_hostile_text_never_breaks_the_worker(answer: str) -> None:
    assert isinstance(assemble(PROMPT, answer, "double", "chat"), str)


def test_an_example_in_humanevals_form_is_checked_by_its_test() -> None:
    row = {
        "prompt": PROMPT,
        "entry_point": "double",
        "test": "def check(f):\n    assert f(1) == 2\n",
    }
    task = task_of(row)
    assert (task.prompt, task.entry_point) == (PROMPT, "double")
    exec(compile(WHOLE + task.check, "<test>", "exec"), {})


def test_a_prompt_in_prose_is_no_part_of_the_program() -> None:
    row = {"prompt": "Write double(x).", "entry_point": "double", "test": "def check(f): pass\n"}
    assert task_of(row).prompt == ""


def test_an_example_of_scripts_has_an_exchange_for_each_input() -> None:
    row = {"prompt": "Double it.", "inputs": ["1", "2"], "outputs": ["2", "4"]}
    task = task_of(row)
    assert (task.prompt, task.entry_point, task.check) == ("", "", "")
    assert [(each.stdin, each.stdout) for each in task.exchanges] == [("1", "2"), ("2", "4")]


SCRIPT = "def main():\n    print(2 * int(input()))\n\nif __name__ == '__main__':\n    main()\n"


@pytest.mark.parametrize(
    "answer",
    [
        SCRIPT,
        f"```python\n{SCRIPT}```",
        f"Read this:\n```\n1 is doubled to\n```\nThus:\n```python\n{SCRIPT}```\nDone.",
    ],
)
def test_a_script_is_taken_whole_with_what_it_runs(answer: str) -> None:
    assert assemble("", answer, "", "chat") == SCRIPT


def test_an_example_in_mbpps_form_names_its_function_in_its_asserts() -> None:
    row = {
        "prompt": "Write a function to find the shared elements.",
        "test_imports": ["import math"],
        "test_setup_code": "LIMIT = 3",
        "test_list": ["assert set(shared((1, 2), (2,))) == {2}", "assert LIMIT == math.floor(3.5)"],
    }
    task = task_of(row)
    assert (task.prompt, task.entry_point) == ("", "shared")
    answer = (
        "Here:\n```python\ndef helper(a): ...\n```\n"
        "```python\ndef shared(a, b):\n    return set(a) & set(b)\n```"
    )
    exec(compile(assemble("", answer, "shared", "chat") + task.check, "<test>", "exec"), {})

"""Answers made into programs and run: their verdicts are those that are known."""

import gzip
import json
import lzma
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from rehearsal.answers import menu
from rehearsal.problems import Problem
from sandbox import Limits, Sandbox, open_sandbox
from workers.programs import Api, Task, assemble, task_of

FORMS = {
    "continuation": "{text}",
    "fenced continuation": "```python\n{text}\n```",
    "fenced whole function": "Sure, here it is:\n\n```python\n{prompt}{text}\n```\nThis works.",
    "whole function": "{prompt}{text}",
}


def verdicts(
    sandbox: Sandbox, task: Task, texts: Iterable[str], api: Api, *, trusted: bool = False
) -> list[bool]:
    programs = [
        task.program(assemble(task.prompt, text, task.entry_point, api), trusted=trusted)
        for text in texts
    ]
    with sandbox.prepare(study="test", limits=Limits(timeout_s=5), deadline_s=300) as box:
        return [result.passed for result in box.run(programs)]


@pytest.mark.slow
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_the_stand_ins_right_answers_pass_in_every_form_and_its_wrong_ones_fail(
    api: Api, problems: list[dict[str, Any]], sandbox: Sandbox
) -> None:
    for row in problems[:12:4]:
        problem = Problem(
            id=row["task_id"],
            prompt=row["prompt"],
            solution=row["canonical_solution"],
            entry_point=row["entry_point"],
        )
        answers = menu(problem, api)
        for kind, passes in (("right", True), ("wrong", False), ("off_format", False)):
            texts = [answer.text for answer in getattr(answers, kind)]
            found = verdicts(sandbox, task_of(row), texts, api, trusted=True)
            wrongly = [text for text, passed in zip(texts, found, strict=True) if passed != passes]
            assert wrongly == [], f"{kind} answers to {row['task_id']}"


def test_scripts_are_judged_by_what_they_print(sandbox: Sandbox) -> None:
    row = {"prompt": "Add two.", "inputs": ["1 2\n", "3\n-3"], "outputs": ["3\n", "0"]}
    answers = {
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))": True,
        "```python\nif __name__ == '__main__':\n    a, b = map(int, open(0).read().split())\n"
        "    print(a + b, end='')\n```": True,
        "import sys\nsys.stdout.write(str(sum(map(int, sys.stdin.read().split()))))\nexit()": True,
        "print(3)": False,
        "a, b = map(int, input().split())\nprint(a + b)": False,  # the second input has two lines
        "print('Enter:')\nimport sys\nprint(sum(map(int, sys.stdin.read().split())))": False,
        "": False,
    }
    found = verdicts(sandbox, task_of(row), answers, "chat", trusted=True)
    assert dict(zip(answers, found, strict=True)) == answers


@pytest.mark.data
@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # escapes in recorded programs
def test_what_gpt_4_wrote_gets_its_known_verdict_in_every_chat_form(data_dir: Path) -> None:
    with gzip.open(data_dir / "problems" / "HumanEval.jsonl.gz", "rt") as lines:
        rows = {row["task_id"]: row for row in map(json.loads, lines)}
    recorded = data_dir / "recorded" / "codex-cushman-gpt4-humaneval.jsonl.xz"
    with lzma.open(recorded, "rt") as lines:
        answers = [row for row in map(json.loads, lines) if row["model"] == "gpt-4-0314"]
    sandbox = open_sandbox()
    for answer in islice(answers, 0, None, 8):
        row = rows[answer["task_id"]]
        texts = [form.format(prompt=row["prompt"], text=answer["text"]) for form in FORMS.values()]
        found = verdicts(sandbox, task_of(row), texts, "chat")
        assert found == [answer["ours"] == "pass"] * len(FORMS), answer["task_id"]
    sandbox.close()

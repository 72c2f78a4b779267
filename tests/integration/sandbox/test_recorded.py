"""What real models wrote: our verdicts agree with those recorded when each program was a file and a process."""

import gzip
import json
import lzma
from collections import defaultdict
from pathlib import Path

import pytest

from sandbox import Limits, Program, Sandbox

pytestmark = [pytest.mark.docker, pytest.mark.data]

STOPS = ("\nclass", "\ndef", "\nif", "\nprint")
LIMITS = Limits(timeout_s=5.0, memory_mb=512)  # as when they were recorded
EVERY = {
    "codegen16b-humaneval-t08-n100": 53,
    "gpt35instruct-humaneval-maxtokens": 47,
    "codex-cushman-gpt4-humaneval": 23,
}


def cut(text: str) -> str:
    ends = [text.find(stop) for stop in STOPS if stop in text]
    return text[: min(ends)] if ends else text


@pytest.mark.parametrize("name", EVERY)
def test_recorded_completions_get_their_recorded_verdicts(
    name: str, sandbox: Sandbox, data_dir: Path
):
    with gzip.open(data_dir / "problems/HumanEval.jsonl.gz", "rt") as file:
        problems = {row["task_id"]: row for row in map(json.loads, file)}
    with lzma.open(data_dir / f"recorded/{name}.jsonl.xz", "rt") as file:
        rows = [json.loads(line) for line in file][:: EVERY[name]]
    by_problem = defaultdict(list)
    for row in rows:
        by_problem[row["task_id"]].append(row)
    disagreements = []
    for task_id, group in by_problem.items():
        problem = problems[task_id]
        check = f"{problem['test']}\ncheck({problem['entry_point']})\n"
        programs = [
            Program(source=problem["prompt"] + cut(row["text"]), check=check) for row in group
        ]
        with sandbox.prepare(study="recorded", limits=LIMITS, deadline_s=600) as box:
            for row, result in zip(group, box.run(programs), strict=True):
                if result.verdict != row["ours"]:
                    disagreements.append((task_id, row["ours"], result.verdict, result.detail))
    assert len(rows) > 100
    assert [d for d in disagreements if (d[1] == "pass") != (d[2] == "pass")] == []
    assert len(disagreements) <= len(rows) * 0.01, disagreements

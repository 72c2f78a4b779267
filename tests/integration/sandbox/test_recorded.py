"""What real models wrote: our verdicts agree with those recorded when each program ran by itself."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from sandbox import Limits, Program, Sandbox

pytestmark = [pytest.mark.docker, pytest.mark.data]

CODEGEN_STOPS = ("\nclass", "\ndef", "\nif", "\nprint", "\nassert", "\n@", '\n"""')
LIMITS = Limits(timeout_s=5.0, memory_mb=512)  # as when they were recorded
FILES = {  # every how manieth row is run, and where its text was cut before it was judged
    "codegen16b-humaneval-t08-n100": (53, CODEGEN_STOPS),
    "gpt35instruct-humaneval-maxtokens": (47, ()),
    "codex-cushman-gpt4-humaneval": (23, ()),
}


def cut(text: str, stops: tuple[str, ...]) -> str:
    return text[: min((text.find(stop) for stop in stops if stop in text), default=None)]


@pytest.mark.parametrize("name", FILES)
def test_recorded_completions_get_their_recorded_verdicts(
    name: str, sandbox: Sandbox, data_dir: Path
):
    every, stops = FILES[name]
    with gzip.open(data_dir / "problems/HumanEval.jsonl.gz", "rt") as file:
        problems = {row["task_id"]: row for row in map(json.loads, file)}
    with lzma.open(data_dir / f"recorded/{name}.jsonl.xz", "rt") as file:
        rows = [json.loads(line) for line in file][::every]
    programs = []
    for row in rows:
        problem = problems[row["task_id"]]
        check = f"{problem['test']}\ncheck({problem['entry_point']})\n"
        source = problem["prompt"] + cut(row["text"], stops)
        programs.append(Program(source=source, check=check))
    with sandbox.prepare(study="recorded", limits=LIMITS, deadline_s=600) as box:
        results = box.run(programs)
    disagreements = [
        (row["task_id"], row["ours"], result.verdict, result.detail)
        for row, result in zip(rows, results, strict=True)
        if row["ours"] != result.verdict
    ]
    assert len(rows) > 100
    assert disagreements == []

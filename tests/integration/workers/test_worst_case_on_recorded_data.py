"""The worst case against recorded prompts and answers, billed as the endpoint bills: none is above its bound.

No record says what a provider counted: its tokens are the stand-in's, and the prompts' bytes the bound.
"""

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.tokens import count_chat_tokens, count_tokens
from study import worst_case
from study.prices import Price, Usage

PRICE = Price.from_usd(input=0.15, output=0.6)


@pytest.mark.data
@pytest.mark.parametrize("n", [1, 4])
def test_no_recorded_answer_is_billed_above_its_worst_case(n: int, data_dir: Path) -> None:
    with gzip.open(data_dir / "problems" / "HumanEval.jsonl.gz", "rt") as file:
        prompts = {row["task_id"]: row["prompt"] for row in map(json.loads, file)}
    name = "codegen16b-humaneval-t08-n100.jsonl.xz"
    with lzma.open(data_dir / "recorded" / name, "rt") as file:
        rows = [json.loads(line) for line in file]
    checked = 0
    for first in range(0, len(rows), 10):
        drawn = rows[first : first + n]
        prompt, tokens_max = prompts[drawn[0]["task_id"]], drawn[0]["max_tokens"]
        billed = Usage(
            prompt_tokens=count_chat_tokens([prompt]),
            completion_tokens=sum(min(count_tokens(r["text"]), tokens_max) for r in drawn),
        )
        params = {"max_tokens": tokens_max}
        most = worst_case.cost(prompt, model="mine", params=params, n=n, price=PRICE)
        assert PRICE.cost(billed) <= most
        checked += 1
    assert checked == 1640


def _prompts(folder: Path) -> Iterator[str]:
    """All that the data has for prompts: of HumanEval, MBPP and GSM8K."""
    with gzip.open(folder / "HumanEval.jsonl.gz", "rt") as file:
        yield from (json.loads(line)["prompt"] for line in file)
    with lzma.open(folder / "sanitized-mbpp.json.xz", "rt") as file:
        yield from (row["prompt"] for row in json.load(file))
    with lzma.open(folder / "gsm8k_test.jsonl.xz", "rt") as file:
        yield from (json.loads(line)["question"] for line in file)


@pytest.mark.data
def test_no_prompt_has_more_tokens_than_are_reserved_for_it(data_dir: Path) -> None:
    checked = 0
    for prompt in _prompts(data_dir / "problems"):
        system = "Answer in one word."
        messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
        assert count_chat_tokens([prompt]) <= worst_case.prompt_tokens(prompt, model="mine")
        counted = count_chat_tokens([system, prompt])
        assert counted <= worst_case.prompt_tokens(messages, model="mine")
        checked += 1
    assert checked == 164 + 427 + 1319

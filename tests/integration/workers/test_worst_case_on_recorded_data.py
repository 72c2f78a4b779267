"""The worst case against recorded answers, billed by the endpoint: no bill is above its bound."""

import gzip
import json
import lzma
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

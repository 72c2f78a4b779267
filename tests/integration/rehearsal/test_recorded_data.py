"""What real models really said, through the real client: all of it once, and nothing else."""

import gzip
import json
import lzma
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from rehearsal import Recorded, RehearsalServer

DATA = Path(os.environ.get("BURSAR_DATA_DIR", Path(__file__).parents[4] / "shared" / "data"))
HUMANEVAL = DATA / "problems" / "HumanEval.jsonl.gz"
CODEGEN = DATA / "recorded" / "codegen16b-humaneval-t08-n100.jsonl.xz"
CURSOR = DATA / "recorded" / "codex-cushman-gpt4-humaneval.jsonl.xz"

pytestmark = pytest.mark.data


def read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        pytest.skip(f"{path} is not there: set BURSAR_DATA_DIR to the folder of the recorded data")
    opener: Any = gzip.open if path.suffix == ".gz" else lzma.open
    with opener(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def problems() -> list[dict[str, Any]]:
    return [
        {
            "id": row["task_id"],
            "prompt": row["prompt"],
            "solution": row["canonical_solution"],
            "entry_point": row["entry_point"],
        }
        for row in read(HUMANEVAL)
    ]


def test_a_hundred_draws_are_the_hundred_recorded_completions(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI]
) -> None:
    rows, asked = read(CODEGEN), problems()
    model = "codegen-16B-mono"
    client = connect(serve(problems=asked, source=Recorded(rows), models={model: (1, 2)}))
    for problem in asked[:20]:
        said: Counter[str] = Counter()
        for n in (1, 49, 50):
            response = client.completions.create(
                model=model, prompt=problem["prompt"], n=n, temperature=0.8, max_tokens=300
            )
            said.update(choice.text for choice in response.choices)
        assert said == Counter(row["text"] for row in rows if row["task_id"] == problem["id"])
    with pytest.raises(
        openai.UnprocessableEntityError, match="0 recorded completions are left of 100"
    ):
        client.completions.create(model=model, prompt=asked[0]["prompt"], temperature=0.8)
    with pytest.raises(openai.NotFoundError, match="No completion is recorded"):
        client.completions.create(model=model, prompt=asked[0]["prompt"], temperature=0.7)


def test_models_recorded_without_a_temperature_answer_requests_without_one(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI]
) -> None:
    rows, asked = read(CURSOR), problems()
    source = Recorded(rows)
    client = connect(
        serve(problems=asked, source=source, models=dict.fromkeys(source.models, (1, 2)))
    )
    messages: Any = [{"role": "user", "content": asked[7]["prompt"]}]
    response = client.chat.completions.create(model="claude-v1.3", messages=messages)
    (recorded,) = (
        row["text"]
        for row in rows
        if (row["task_id"], row["model"]) == (asked[7]["id"], "claude-v1.3")
    )
    assert response.choices[0].message.content == recorded


def test_every_humaneval_prompt_is_found_as_itself(
    serve: Callable[..., RehearsalServer], connect: Callable[..., OpenAI]
) -> None:
    asked = problems()
    server = serve(problems=asked)
    client = connect(server)
    for problem in asked:
        client.completions.create(model="small", prompt="# Python 3" + problem["prompt"])
    assert [record.problem for record in server.books().records] == [
        problem["id"] for problem in asked
    ]

"""Loading a dataset: forms, splits, order, and errors that say what to do."""

import gzip
import json
import lzma
from pathlib import Path

import datasets
import pytest

from coordinator.data import load_examples, split
from study.errors import DataError
from study.spec import DataSpec

ROWS = [{"question": f"q{i}", "answer": i} for i in range(10)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def questions(pairs: tuple[tuple[str, dict[str, object]], ...]) -> list[object]:
    return [row["question"] for _, row in pairs]


@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz", "d.jsonl.xz", "d.csv", "d.parquet"])
def test_local_files_of_each_form_give_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(LINES.encode()))
    elif name.endswith(".xz"):
        path.write_bytes(lzma.compress(LINES.encode()))
    elif name.endswith(".csv"):
        path.write_text("question,answer\n" + "".join(f"q{i},{i}\n" for i in range(10)))
    elif name.endswith(".parquet"):
        datasets.Dataset.from_list(ROWS).to_parquet(path)
    else:
        path.write_text(LINES)
    loaded = load_examples(DataSpec(path=name, tune_size=4), folder=tmp_path)
    assert loaded.tune == tuple((f"tune-{i}", ROWS[i]) for i in range(4))
    assert loaded.held_out == tuple((f"test-{i}", ROWS[i + 4]) for i in range(6))


def test_a_shuffle_seed_gives_the_order_of_the_datasets_library(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(LINES)
    loaded = load_examples(DataSpec(path="d.jsonl", tune_size=3, shuffle_seed=41), folder=tmp_path)
    expected = [row["question"] for row in datasets.Dataset.from_list(ROWS).shuffle(seed=41)]
    assert questions(loaded.tune) + questions(loaded.held_out) == expected
    assert expected != [row["question"] for row in ROWS]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.jsonl", None, "there is no file"),
        ("broken.jsonl", '{"a": 1}\n{"a": \n', "can't be loaded"),
        ("empty.jsonl", "", "data.path"),
        ("binary.parquet", "not parquet", "can't be loaded"),
    ],
)
def test_unreadable_data_is_an_error_that_names_the_field(
    tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=r"data\.path") as caught:
        load_examples(DataSpec(path=name), folder=tmp_path)
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_a_row_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(DataError, match="row 1 holds values"):
        split([{"a": 1}, {"a": b"bytes"}], tune_size=1)


def test_a_row_that_is_too_large_is_refused() -> None:
    with pytest.raises(DataError, match="takes 1,0"):
        split([{"a": "x" * 1_000_001}], tune_size=1)

"""Loading a dataset: forms, splits, order, and errors that say what to do."""

import datetime
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

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
        ("broken.jsonl", '{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ("lists.jsonl", '{"a": 1}\n[1]\n', "line 2 is no table"),
        ("empty.jsonl", "", "has no rows"),
        ("blank.jsonl", "\n\n", "has no rows"),
        ("header.csv", "a,b\n", "has no rows"),
        ("latin.jsonl", '{"a": "\N{LATIN SMALL LETTER E WITH ACUTE}"}\n', "codec can't decode"),
        ("surplus.csv", "a,b\n1,2,3\n4,5,6\n", "more fields than its header"),
        ("surplus_once.csv", "a,b\n1,2\n4,5,6\n", "Expected 2 fields in line 3, saw 3"),
        ("index.csv", "__index_level_0__,b\n1,2\n", "__index_level_0__"),
        ("two::names.jsonl", '{"a": 1}\n', "Rename the file"),
        ("two[1].jsonl.gz", "", "Rename the file"),
        ("binary.parquet", "not parquet", "can't be loaded"),
    ],
)
def test_unreadable_data_is_an_error_that_names_the_field(
    tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=r"data\.path") as caught:
        load_examples(DataSpec(path=name), folder=tmp_path)
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_a_name_with_the_signs_of_a_pattern_is_that_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "d1.jsonl").write_text('{"a": "wrong"}\n')
    (tmp_path / "d[1].jsonl").write_text('{"a": "right"}\n')
    loaded = load_examples(DataSpec(path="d[1].jsonl"), folder=tmp_path)
    assert loaded.tune == (("tune-0", {"a": "right"}),)


def test_the_texts_of_a_csv_file_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\nNA,1\nnull,2\nNone,3\n,4\n")
    loaded = load_examples(DataSpec(path="d.csv"), folder=tmp_path)
    assert [row["a"] for _, row in loaded.tune] == ["NA", "null", "None", ""]
    assert [row["b"] for _, row in loaded.tune] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "value",
    [b"bytes", datetime.datetime(2020, 1, 1), float("nan"), float("inf"), [float("nan")], "\ud800"],
)
def test_a_row_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(
        DataError, match="row 1 holds values that JSON can't, in column 'a'"
    ) as caught:
        split([{"a": 1}, {"a": value}], tune_size=1)
    assert repr(caught.value.value) == repr(value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, "data = None: is no list of rows"),
        ([{"a": 1}, ["a"]], "row 1 is no table"),
        ([{"a": 1}, {"a": 1, 2: 3}], "row 1 has a column whose name is no text"),
        ({"a": [1]}, "row 0 is no table"),
    ],
)
def test_rows_that_are_no_tables_are_refused(rows: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        split(rows, tune_size=1)


def test_a_row_that_is_too_large_is_refused() -> None:
    with pytest.raises(DataError, match="takes 1,0"):
        split([{"a": "x" * 1_000_001}], tune_size=1)

"""Data of every kind of wrong: rows as they are written, or an error that names what to mend."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.data import load_examples
from study.errors import DataError
from study.spec import DataSpec

from .odd import ATOMS

CELLS = (
    ATOMS | st.lists(ATOMS, max_size=2) | st.dictionaries(st.text(max_size=3), ATOMS, max_size=2)
)
ROW = st.dictionaries(st.sampled_from(["prompt", "test", "k", "", "é", "__index_level_0__"]),
                      CELLS, max_size=4)  # fmt: skip
FEW = settings.get_profile(settings._current_profile).max_examples // 5  # a file takes 0.1 s


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def loaded(folder: Path, name: str, content: bytes) -> list[dict[str, Any]] | None:
    """The rows; None where they are refused as they should be."""
    file = folder / name
    file.write_bytes(content)
    try:
        examples = load_examples(DataSpec(path=str(file), tune_size=2))
    except DataError:
        return None
    finally:
        file.unlink()
    rows = [row for _, row in (*examples.tune, *examples.held_out)]
    assert rows
    json.dumps(rows, allow_nan=False, ensure_ascii=False).encode()
    return rows


@settings(max_examples=FEW)
@given(st.lists(ROW, max_size=4), st.sampled_from(["", ".gz", "cut", "bom", "crlf", "blank"]))
def test_jsonl(tmp_path_factory: Any, rows: list[dict[str, Any]], twist: str) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    content = text.encode()
    match twist:
        case ".gz":
            content = gzip.compress(content)
        case "cut":
            content = content[: len(content) * 2 // 3]
        case "bom":
            content = b"\xef\xbb\xbf" + content
        case "crlf":
            content = content.replace(b"\n", b"\r\n")
        case "blank":
            content = b"\n" + content.replace(b"\n", b"\n\n")
    folder = Path(str(tmp_path_factory.getbasetemp()))
    found = loaded(folder, "rows.jsonl" + (".gz" if twist == ".gz" else ""), content)
    if found is not None and twist not in ("cut",):
        assert len(found) == len(rows)


@settings(max_examples=FEW)
@given(st.lists(st.lists(st.sampled_from(["a", "", "NA", "1", "é", 'a"b', "x\ny", "a,b", "\x00"]),
                         min_size=1, max_size=4), min_size=1, max_size=4),
       st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]))  # fmt: skip
def test_csv(tmp_path_factory: Any, lines: list[list[str]], encoding: str) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows(lines)
    content = stream.getvalue().encode(encoding)
    folder = Path(str(tmp_path_factory.getbasetemp()))
    found = loaded(folder, "rows.csv", content)
    if found is not None and encoding == "utf-8" and len({len(line) for line in lines}) == 1:
        header = lines[0]
        if len(set(header)) == len(header) and "" not in header and len(header) > 1:
            assert len(found) == len(lines) - 1


@settings(max_examples=FEW)
@given(
    st.binary(max_size=100),
    st.sampled_from(["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "rows.jsonl.gz",
                     "rows.csv.xz", "rows.parquet.zst", "rows[0].jsonl", "*.jsonl"]),
)  # fmt: skip
def test_bytes(tmp_path_factory: Any, content: bytes, name: str) -> None:
    loaded(Path(str(tmp_path_factory.getbasetemp())), name, content)

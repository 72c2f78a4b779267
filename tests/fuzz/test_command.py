"""The command itself, on files of any bytes: exit code 2 or 3 with a named error, or the study begins."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bursar import sitting
from bursar.cli.commands import app
from coordinator.start import start_study
from study.errors import Interrupted

STUDY = b"""name = "x"
[data]
path = "rows.jsonl"
tune_size = 2
[budget]
optimization_usd = 1.0
inference_usd = 0.1
[space]
model = ["gpt-5.4-nano"]
prompt = ["{prompt}"]
"""
ROWS = b"".join(
    json.dumps({"prompt": f"def f{i}(): # \u00e9", "entry_point": f"f{i}", "test": "x"}).encode()
    + b"\n"
    for i in range(3)
)
NAMED = {"SpecError": 2, "DataError": 2, "BudgetTooSmall": 3, "Begun": 130}
PIECES = st.sampled_from(
    [b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b'"', b"[", b"]", b"{", b"}", b"=", b"'''",
     b"nan", b"1e999", b"-1", b"null", b"\\ud800", "\u202e".encode(), b"[[price]]\n", b"\n[x]\n"]
) | st.binary(max_size=8)  # fmt: skip


class Begun(Interrupted):
    """All was right, and the study was written down."""


@st.composite
def edited(draw: st.DrawFn, right: bytes) -> bytes:
    """Bytes that were right, with a few places exchanged."""
    found = right
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(found)))
        end = min(len(found), begin + draw(st.integers(0, 12)))
        found = found[:begin] + draw(PIECES) + found[end:]
    return found


@pytest.fixture
def folder(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder; a study that is right ends where its first evaluation would be sent."""

    def begin(spec: Any, examples: Any, *, cluster: Any, source: Any, watcher: Any) -> Any:
        del watcher
        start_study(spec, examples, client=cluster.client, source=source)
        raise Begun("begun")

    monkeypatch.setattr(sitting, "tune", begin)
    monkeypatch.setenv("BURSAR_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    structlog.reset_defaults()


def expect_named(folder: Path, study: bytes, rows: bytes, name: str = "rows.jsonl") -> None:
    (folder / "study.toml").write_bytes(study)
    (folder / name).write_bytes(rows)
    result = CliRunner().invoke(app, ["tune", "study.toml", "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    error = json.loads(result.stdout)["error"]
    assert NAMED.get(error["type"]) == result.exit_code, error
    assert error["message"]


@given(study=edited(STUDY))
@example(study=STUDY)
@example(study=STUDY.decode().encode("utf-16"))
@example(study=b"")
def test_any_study_file_is_a_named_error_or_begins(folder: Path, study: bytes) -> None:
    expect_named(folder, study, ROWS)


# pandas leaves files open that it could not read; only `make fuzz` goes beyond the chosen cases.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(phases=list(Phase) if os.environ.get("BURSAR_FUZZ") == "long" else [Phase.explicit])
@given(rows=edited(ROWS), name=st.sampled_from(["rows.jsonl", "rows.csv", "rows.jsonl.gz"]))
@example(rows=ROWS.decode().encode("utf-16"), name="rows.jsonl")
@example(rows=gzip.compress(ROWS)[:-9], name="rows.jsonl.gz")
@example(rows=b"", name="rows.csv")
@example(rows=ROWS, name="rows.parquet")
def test_any_data_is_a_named_error_or_begins(folder: Path, rows: bytes, name: str) -> None:
    expect_named(folder, STUDY.replace(b"rows.jsonl", name.encode()), rows, name)

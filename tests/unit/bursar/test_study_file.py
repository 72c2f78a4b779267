"""The study file's own errors; what it says is tested with `StudySpec`."""

from pathlib import Path

import pytest

from bursar import study_file
from study.errors import DataError

STUDY = """name = "s"
data.path = "{path}"
budget = {{optimization_usd = 1.0, inference_usd = 0.1}}
"""


@pytest.mark.parametrize("path", ["a\\u0000b.jsonl", "~nosuchuser-at-all/rows.jsonl"])
def test_what_can_be_no_path_is_a_data_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "study.toml").write_text(STUDY.format(path=path))
    with pytest.raises(DataError, match="can be no path") as caught:
        study_file.read(tmp_path / "study.toml")
    assert caught.value.field == "data.path"


def test_a_relative_path_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY.format(path="rows.jsonl"))
    assert study_file.read(tmp_path / "study.toml").data.path == str(tmp_path / "rows.jsonl")

"""Examples: the dataset, loaded, shuffled and split; the only file that knows the datasets library."""

import glob
import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from study.errors import DataError
from study.spec import DataSpec

Row = dict[str, Any]

FORMATS: Final = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
COMPRESSIONS: Final = (".gz", ".xz", ".zst", ".bz2")
CSV_OPTIONS: Final = {"index_col": False, "keep_default_na": False}
"""Rows with surplus fields are refused rather than shifted; `NA`, `null` and `None` are texts."""
ROW_BYTES_MAX: Final = 1_000_000
"""A row goes through Redis and into a prompt; a larger one is a mistake."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The rows that tune and the rows held out, as pairs of example id and row."""

    tune: tuple[tuple[str, Row], ...]
    held_out: tuple[tuple[str, Row], ...]


def load_examples(data: DataSpec, *, folder: Path | None = None) -> Examples:
    """Load the dataset of a study.

    A CSV file's `NA`, `null` and `None` are texts, and so is an empty cell: what stands in a column
    of numbers as anything but a number makes it a column of texts.

    Args:
        data: the `[data]` table.
        folder: what a relative path is relative to (the study file's folder); the working directory
            where left out.

    Raises:
        DataError: if it can't be read, has no such split, or no rows that can be used.
    """
    rows = _load(data, folder or Path.cwd())
    if not rows:
        raise DataError(
            field="data.path", value=data.path, problem="has no rows", remedy="give data with rows"
        )
    return split(rows, tune_size=data.tune_size)


def split(rows: Sequence[Mapping[str, Any]], *, tune_size: int) -> Examples:
    """Number the rows: the first `tune_size` tune, the rest are held out.

    Raises:
        DataError: if a row is no table, can't be written as JSON, or is too large.
    """
    kept = [_checked(row, number) for number, row in enumerate(tables(rows))]
    return Examples(
        tune=tuple((f"tune-{i}", row) for i, row in enumerate(kept[:tune_size])),
        held_out=tuple((f"test-{i}", row) for i, row in enumerate(kept[tune_size:])),
    )


def tables(rows: object) -> list[Row]:
    """The rows, if they are tables of named columns.

    Raises:
        DataError: naming the first that is none.
    """
    remedy = 'give a list of rows such as {"prompt": "...", "test": "..."}'
    if not (isinstance(rows, Iterable) and isinstance(rows, Sized)):  # a generator is read once
        raise DataError(field="data", value=rows, problem="is no list of rows", remedy=remedy)
    kept = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(
                field="data", value=row, problem=f"row {number} is no table", remedy=remedy
            )
        for name in row:
            if not isinstance(name, str):
                raise DataError(
                    field="data",
                    value=name,
                    problem=f"row {number} has a column whose name is no text",
                    remedy=remedy,
                )
        kept.append(dict(row))
    return kept


def _load(data: DataSpec, folder: Path) -> list[Row]:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets  # takes a second: only where data is loaded

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():  # pandas would drop the surplus, and only warn
            warnings.filterwarnings("error", message="Length of header or names")
            return _shuffled(_dataset(data, folder), data)  # rows are decoded as they are read
    except DataError:
        raise
    except Exception as exc:  # datasets raises what its many formats raise
        if isinstance(exc, StopIteration) or "corresponds to no data" in str(exc):
            return []
        raise DataError(
            field="data.path",
            value=data.path,
            problem=f"can't be loaded ({_reason(exc)})",
            remedy="mend the file: its ending says what it must be, in UTF-8"
            if (folder / Path(data.path).expanduser()).is_file()
            else "give a name on the Hugging Face hub that this machine can reach, or a local "
            + ", ".join(FORMATS)
            + " file in UTF-8 (it may end in .gz or .xz)",
        ) from exc


def _dataset(data: DataSpec, folder: Path) -> Any:
    import datasets

    path = folder / Path(data.path).expanduser()
    suffixes = [s for s in path.suffixes if s not in COMPRESSIONS]
    builder = FORMATS.get(suffixes[-1]) if suffixes else None
    if builder is None:
        return _one_split(datasets.load_dataset(data.path, data.name), data, local=False)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if "::" in str(path) or (path.suffix in COMPRESSIONS and set(path.name) & set("[]")):
        raise DataError(
            field="data.path",
            value=data.path,
            problem="is a name that the datasets library takes for several",
            remedy="rename the file: leave out '::', and '[' and ']' where it is compressed",
        )
    if path.stat().st_size == 0:
        raise StopIteration
    if suffixes[-1] == ".jsonl":
        _check_lines(path, data)
    options: dict[str, Any] = CSV_OPTIONS if builder == "csv" else {}
    loaded = datasets.load_dataset(builder, data_files=glob.escape(str(path)), **options)
    found = _one_split(loaded, data, local=True)
    shifted = [name for name in found.column_names if name.startswith("__index_level_")]
    if builder == "csv" and shifted:
        raise DataError(
            field="data.path",
            value=data.path,
            problem=f"has a column {shifted[0]}, which is an index and no column",
            remedy="give every row as many fields as the header has",
        )
    return found


def _check_lines(path: Path, data: DataSpec) -> None:
    """Read a file of JSON lines before pyarrow does, whose parallel reader can crash on broken ones."""
    import fsspec  # type: ignore[import-untyped]  # comes with datasets

    with fsspec.open(str(path), "rt", encoding="utf-8-sig", compression="infer") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as exc:
                raise _no_row(data, number, f"is not JSON ({_reason(exc)})") from exc
            if not isinstance(row, dict):
                raise _no_row(data, number, "is no table of columns")


def _no_row(data: DataSpec, number: int, problem: str) -> DataError:
    return DataError(
        field="data.path",
        value=data.path,
        problem=f"can't be loaded (line {number} {problem})",
        remedy='write one row on each line, such as {"prompt": "...", "test": "..."}',
    )


def _reason(exc: Exception) -> str:
    cause = exc.__cause__ or exc
    if isinstance(cause, Warning):
        return "its rows have more fields than its header"
    return " ".join(str(cause).split())[:200] or type(exc).__name__


def _one_split(loaded: Any, data: DataSpec, *, local: bool) -> Any:
    names = list(loaded)
    if local or (data.split is None and len(names) == 1):
        return loaded[names[0]]
    if data.split in names:
        return loaded[data.split]
    problem = "there is no such split" if data.split else "the data has several splits"
    raise DataError(
        field="data.split",
        value=data.split,
        problem=problem,
        remedy="choose one of " + ", ".join(names),
    )


def _shuffled(dataset: Any, data: DataSpec) -> list[Row]:
    if data.shuffle_seed is not None:
        dataset = dataset.shuffle(seed=data.shuffle_seed, load_from_cache_file=False)
    return [dict(row) for row in dataset]


def _checked(row: Row, number: int) -> Row:
    size = 2
    for name, value in row.items():
        try:
            text = json.dumps({name: value}, allow_nan=False, ensure_ascii=False)
            size += len(text.encode())  # refuses half a surrogate pair
        except (TypeError, ValueError, RecursionError) as exc:
            raise DataError(
                field="data",
                value=value,
                problem=f"row {number} holds values that JSON can't, in column {name!r} ({exc})",
                remedy="keep texts, finite numbers, lists and tables only",
            ) from exc
    if size > ROW_BYTES_MAX:
        raise DataError(
            field="data",
            value=f"row {number}",
            problem=f"takes {size:,} bytes; {ROW_BYTES_MAX:,} are the most",
            remedy="drop the columns that the study does not need",
        )
    return row

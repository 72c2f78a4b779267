"""Examples: the dataset, loaded, shuffled and split; the only file that knows the datasets library."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from study.errors import DataError
from study.spec import DataSpec

Row = dict[str, Any]

FORMATS: Final = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
COMPRESSIONS: Final = (".gz", ".xz", ".zst", ".bz2")
ROW_BYTES_MAX: Final = 1_000_000
"""A row goes through Redis and into a prompt; a larger one is a mistake."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The rows that tune and the rows held out, as pairs of example id and row."""

    tune: tuple[tuple[str, Row], ...]
    held_out: tuple[tuple[str, Row], ...]


def load_examples(data: DataSpec, *, folder: Path | None = None) -> Examples:
    """Load the dataset of a study.

    Args:
        data: the `[data]` table.
        folder: what a relative path is relative to (the study file's folder); the working directory
            where left out.

    Raises:
        DataError: if it can't be read, has no such split, or too few rows.
    """
    rows = _shuffled(_load(data, folder or Path.cwd()), data)
    if not rows:
        raise DataError(
            field="data.path", value=data.path, problem="has no rows", remedy="give data with rows"
        )
    return split(rows, tune_size=data.tune_size)


def split(rows: Iterable[Mapping[str, Any]], *, tune_size: int) -> Examples:
    """Number the rows: the first `tune_size` tune, the rest are held out.

    Raises:
        DataError: if a row can't be written as JSON, or is too large.
    """
    kept = [_checked(dict(row), number) for number, row in enumerate(rows)]
    return Examples(
        tune=tuple((f"tune-{i}", row) for i, row in enumerate(kept[:tune_size])),
        held_out=tuple((f"test-{i}", row) for i, row in enumerate(kept[tune_size:])),
    )


def _load(data: DataSpec, folder: Path) -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import datasets  # takes a second: only where data is loaded

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    path = Path(data.path).expanduser()
    path = path if path.is_absolute() else folder / path
    suffixes = [s for s in path.suffixes if s not in COMPRESSIONS]
    builder = FORMATS.get(suffixes[-1]) if suffixes else None
    try:
        if builder is not None:
            if not path.is_file():
                raise FileNotFoundError(f"there is no file {path}")
            loaded = datasets.load_dataset(builder, data_files=str(path))
            return _one_split(loaded, data, local=True)
        loaded = datasets.load_dataset(data.path, data.name)
        return _one_split(loaded, data, local=False)
    except DataError:
        raise
    except Exception as exc:  # datasets raises what its many formats raise
        reason = " ".join(str(exc.__cause__ or exc).split())[:200] or type(exc).__name__
        raise DataError(
            field="data.path",
            value=data.path,
            problem=f"can't be loaded ({reason})",
            remedy="give a name on the Hugging Face hub that this machine can reach, or a local "
            + ", ".join(FORMATS)
            + " file (it may end in .gz or .xz)",
        ) from exc


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
    try:
        size = len(json.dumps(row).encode("utf-8", "replace"))
    except (TypeError, ValueError) as exc:
        raise DataError(
            field="data.path",
            value=sorted(row),
            problem=f"row {number} holds values that JSON can't ({exc})",
            remedy="keep texts, numbers, lists and tables only",
        ) from exc
    if size > ROW_BYTES_MAX:
        raise DataError(
            field="data.path",
            value=f"row {number}",
            problem=f"takes {size:,} bytes; {ROW_BYTES_MAX:,} are the most",
            remedy="drop the columns that the study does not need",
        )
    return row

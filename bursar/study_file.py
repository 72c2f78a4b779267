"""The study file, read where it lies: a relative data path is relative to the file's folder."""

from pathlib import Path

from coordinator.data import FORMATS
from study.errors import DataError
from study.spec import DataSpec, StudySpec


def read(path: Path) -> StudySpec:
    """Read and check a study file.

    Args:
        path: of the file.

    Returns:
        The spec; a local data path in it is absolute, so that it can be found again from anywhere.

    Raises:
        SpecError: it can't be read, or is wrong.
        DataError: its data path can be no path.
    """
    spec = StudySpec.load(path)
    if not is_local(spec.data):
        return spec
    try:
        local = (path.parent / Path(spec.data.path).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as exc:  # an unknown ~user, links in a ring, a NUL
        raise DataError(
            field="data.path",
            value=spec.data.path,
            problem=f"can be no path ({exc})",
            remedy="give the path of a file, from the study file's folder or from /",
        ) from exc
    data = spec.data.model_copy(update={"path": str(local)})
    return spec.model_copy(update={"data": data})


def is_local(data: DataSpec) -> bool:
    """Whether the data is a file, by its name; else it is a name on the hub."""
    return bool(set(Path(data.path).suffixes) & set(FORMATS))

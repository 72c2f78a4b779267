"""The study file, read where it lies: a relative data path is relative to the file's folder."""

from pathlib import Path

from coordinator.data import FORMATS
from study.spec import StudySpec


def read(path: Path) -> StudySpec:
    """Read and check a study file.

    Args:
        path: of the file.

    Returns:
        The spec; a local data path in it is absolute, so that it can be found again from anywhere.

    Raises:
        SpecError: it can't be read, or is wrong.
    """
    spec = StudySpec.load(path)
    local = (path.parent / Path(spec.data.path).expanduser()).resolve()
    if not local.is_file() and not set(local.suffixes) & set(FORMATS):
        return spec  # a name on the hub
    data = spec.data.model_copy(update={"path": str(local)})
    return spec.model_copy(update={"data": data})

"""TrialLog: a JSON line for every trial, written as the trials finish (FLAML's `log_file_name`)."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Self

from coordinator.report import trial_row
from study.errors import SpecError
from study.spec import StudySpec
from study.trials import Trial


class TrialLog:
    """Writes finished trials to a file, each once, for as long as the context lasts.

    Args:
        file: replaced if it exists; None writes nothing.
    """

    def __init__(self, file: str | Path | None) -> None:
        self._file = None if file is None else Path(file)
        self._stream: IO[str] | None = None
        self._written: set[int] = set()

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            SpecError: it can't be written.
        """
        if self._file is not None:
            try:
                self._stream = self._file.open("w", encoding="utf-8")
            except OSError as exc:
                raise SpecError(
                    field="log_file_name",
                    value=str(self._file),
                    problem=f"can't be written ({exc.strerror})",
                    remedy="name a file in a folder that is there",
                ) from exc
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def write(self, trials: Callable[[], Iterable[Trial]], spec: StudySpec) -> None:
        """Add the trials that finished since the last call.

        Args:
            trials: reads all trials of the study; not called where nothing is written.
            spec: of the study.
        """
        if self._stream is None:
            return
        for trial in trials():
            if trial.state.finished and trial.number not in self._written:
                self._written.add(trial.number)
                self._stream.write(json.dumps(_line(trial, spec)) + "\n")
        self._stream.flush()


def _line(trial: Trial, spec: StudySpec) -> Mapping[str, Any]:
    return trial_row(spec, trial)

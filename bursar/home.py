"""Home: the folder `.bursar`, where a machine of its own keeps Redis, logs and reports."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Home:
    """The folder, which is made when something is first written to it.

    Args:
        folder: `.bursar` in the folder that the command is called in.
    """

    folder: Path = Path(".bursar")

    @property
    def redis(self) -> Path:
        """The data of this folder's own Redis: the studies."""
        return self.folder / "redis"

    @property
    def logs(self) -> Path:
        """What the local workers say, and this command's own trouble."""
        return self.folder / "logs"

    def report_file(self, study: str) -> Path:
        """Where the report of a study lies."""
        return self.folder / "reports" / f"{study}.json"

    def save_report(self, study: str, report: Mapping[str, Any]) -> Path:
        """Write a report, whole or not at all; a newer one replaces it.

        Returns:
            The file.
        """
        file = self.report_file(study)
        made(file.parent)
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(file)
        return file


def made(folder: Path) -> Path:
    """The folder, made if it was not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""Flower as the compose file runs it, behind a password, and each of its pages."""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.conftest import free_port

WAIT_S: Final = 120.0
PLAIN_PAGES: Final = (
    "/", "/workers", "/tasks", "/broker", "/metrics", "/healthcheck", "/api/workers?refresh=1",
    "/api/tasks", "/api/task/types", "/api/queues/length", "/api/nonsense",
    "/tasks/datatable?draw=1&start=0&length=1000&order[0][column]=0&columns[0][data]=name",
)  # fmt: skip
OPEN: Final = {"/metrics", "/healthcheck"}
"""Flower asks nobody for a password there."""


class Flower:
    """A running Flower.

    Args:
        port: where it listens, on this machine.
        password: of the user `bursar`.
    """

    def __init__(self, port: int, password: str) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._authorization = "Basic " + base64.b64encode(f"bursar:{password}".encode()).decode()

    def fetch(self, page: str, *, with_password: bool = True) -> tuple[int, bytes]:
        """Status and body of a page."""
        headers = {"Authorization": self._authorization} if with_password else {}
        request = urllib.request.Request(self._base + page, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read()

    def api(self, page: str) -> dict[str, Any]:
        """What a page of the API says; nothing as long as it can't be had."""
        with suppress(OSError):
            status, body = self.fetch(page)
            if status == 200:
                found: dict[str, Any] = json.loads(body)
                return found
        return {}

    def wait_for_worker(self) -> None:
        """Until a worker has told all about itself."""
        _wait_until(lambda: any(one.get("stats") for one in self.api(PLAIN_PAGES[6]).values()))

    def wait_for_task(self, state: str) -> None:
        """Until it shows a task that ended so."""
        _wait_until(lambda: any(task["state"] == state for task in self.api("/api/tasks").values()))

    def pages(self) -> Iterator[str]:
        """All pages, also those of each worker and each task."""
        yield from PLAIN_PAGES
        for worker in self.api("/api/workers"):
            yield f"/worker/{worker}"
        for task in self.api("/api/tasks"):
            yield from (f"/task/{task}", f"/api/task/info/{task}", f"/api/task/result/{task}")


def _wait_until(happened: Any) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline_s, "Flower does not show it"
        time.sleep(0.1)


@contextmanager
def running_flower(
    repository: Path, folder: Path, environment: Mapping[str, str], *, password: str
) -> Iterator[Flower]:
    """Start it with the settings of deploy/, and let it write its database as it ends."""
    port = free_port()
    command = [sys.executable, "-m", "celery", "--app=flowerconfig", "flower", f"--port={port}"]
    command += ["--address=127.0.0.1", f"--db={folder / 'flower-db'}"]
    with (
        (folder / "flower.log").open("wb") as log,
        subprocess.Popen(
            command,
            env={
                **os.environ,
                **environment,
                "FLOWER_BASIC_AUTH": f"bursar:{password}",
                "FLOWER_READ_ONLY": "true",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=repository / "deploy",
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield Flower(port, password)
        finally:
            process.terminate()
            try:
                process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

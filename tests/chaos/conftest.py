"""A small study on the stand-in endpoint, driven by the real command, with real workers to kill."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal import Latency, RehearsalServer, Synthetic

STUDY = """
name = "crash"
[data]
path = "{data}"
tune_size = 8
[metric]
name = "success"
evaluator = "{evaluator}"
[budget]
optimization_usd = {limit}
inference_usd = 0.01
trials = {trials}
[space]
model = ["stand-in"]
prompt = ["{{prompt}}", "Complete:\\n{{prompt}}"]
max_tokens = 300
n = {{low = 1, high = 4}}
[endpoint]
base_url = "{base_url}"
timeout_s = 3.0
[limits]
concurrency = 8
[[price]]
model = "stand-in"
input = 0.5
output = 2.0
"""

JUDGE = '''
def eval_func(responses, **example):
    """A judge that needs no sandbox."""
    return {"success": float(any("return" in response for response in responses))}
'''


@dataclass(frozen=True, kw_only=True)
class Crash:
    """Where the study file lies, who answers, and how the command is started."""

    folder: Path
    server: RehearsalServer
    environment: dict[str, str]

    def write(self, *, limit: float = 0.02, trials: int = 6, data: Path) -> Path:
        """Write the study file."""
        file = self.folder / "study.toml"
        text = STUDY.format(
            data=data,
            limit=limit,
            trials=trials,
            base_url=self.server.base_url,
            evaluator="crash_judge:eval_func",
        )
        file.write_text(text)
        return file

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", "from bursar.cli import main; main()", *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run the command to its end, and read its JSON."""
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=200)
        assert process.returncode == code, err[-3000:]
        assert "Traceback" not in err
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def problems(repository: Path) -> Path:
    """The starter problems."""
    return repository / "examples" / "starter.jsonl"


@pytest.fixture
def crash(problems: Path, redis_url: str, tmp_path: Path) -> Iterator[Crash]:
    """The endpoint is slow enough that something is always under way."""
    rows = [json.loads(line) for line in problems.read_text().splitlines()]
    (tmp_path / "crash_judge.py").write_text(JUDGE)
    with RehearsalServer(
        problems=[
            {**row, "id": row["task_id"], "solution": row["canonical_solution"]} for row in rows
        ],
        models={"stand-in": (0.5, 2.0)},
        source=Synthetic(),
        latency=Latency(fixed_s=0.4),
    ) as server:
        yield Crash(
            folder=tmp_path,
            server=server,
            environment={
                **os.environ,
                "BURSAR_REDIS_URL": redis_url,
                "OPENAI_API_KEY": "a-key-for-tests",
                "PYTHONPATH": str(tmp_path),
            },
        )


@pytest.fixture
def work(
    crash: Crash, start_workers: Callable[..., "subprocess.Popen[bytes]"]
) -> Callable[[], "subprocess.Popen[bytes]"]:
    """Start one more worker that knows the judge."""

    def start() -> "subprocess.Popen[bytes]":
        return start_workers(
            concurrency=4, PYTHONPATH=str(crash.folder), OPENAI_API_KEY="a-key-for-tests"
        )

    return start

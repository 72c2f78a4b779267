"""How busy a study keeps the endpoint: the sum of the calls' latencies against the wall time.

    python bench/end_to_end.py [--slots 32] [--latency 1.0] [--examples 320] [--judge answers programs]

What runs is the real path: a Redis of its own, Celery workers as processes, the openai client, and
for `programs` the sandbox's containers; the endpoint is a process of its own that takes `--latency`
seconds for each call. One call at a time would take the sum of the latencies; `in flight` is that
sum over the wall time, so the number of calls in flight on average from the first to the last.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bursar.cluster import Cluster, reach
from bursar.home import Home
from coordinator.data import split
from coordinator.start import start_study, start_test
from coordinator.tuning import evaluate_config, tune_study, worst_case_of_test
from study.config import Arm, Config
from study.spec import StudySpec
from study.studies import Source

MODEL = "bench-model"
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "examples/starter.jsonl").read_text().splitlines()
]


def says_anything(responses: list[str], **example: Any) -> dict[str, float]:
    """A judge that costs nothing: whether an answer is longer than a line."""
    return {"success": float(any("\n" in response for response in responses))}


def spec(judge: str, slots: int, url: str, examples: int) -> StudySpec:
    """A study of one arm, as wide as the slots."""
    containers = {"programs-reused": {"evaluations_per_container": 50}}
    return StudySpec.parse(
        {
            "name": "bench",
            "data": {"path": "examples/starter.jsonl", "tune_size": examples},
            "metric": {
                "name": "success",
                "evaluator": "end_to_end:says_anything" if judge == "answers" else "python_tests",
            },
            "budget": {"optimization_usd": 1000.0, "inference_usd": 1.0, "trials": 16},
            "space": {
                "model": [MODEL],
                "prompt": ["{prompt}", "Complete:\n{prompt}"],
                "max_tokens": 400,
                "n": {"low": 1, "high": 8},
            },
            "endpoint": {"base_url": url, "timeout_s": 30.0},
            "limits": {"concurrency": slots},
            "price": [{"model": MODEL, "input": 0.1, "output": 0.5}],
            "sandbox": containers.get(judge, {}),
        }
    )


@contextmanager
def endpoint(folder: Path, latency_s: float) -> Iterator[str]:
    """The stand-in as a process of its own, so that its work is not on the coordinator's account."""
    problems = folder / "problems.jsonl"
    with problems.open("w") as file:
        for row in ROWS:
            problem = {"id": row["task_id"], "prompt": row["prompt"]}
            problem |= {"solution": row["canonical_solution"], "entry_point": row["entry_point"]}
            file.write(json.dumps(problem) + "\n")
    command = [sys.executable, "-m", "rehearsal", "--problems", str(problems)]
    command += ["--prices", json.dumps({MODEL: [0.1, 0.5]}), "--fixed-latency", str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.terminate()


def books(url: str) -> dict[str, Any]:
    """The endpoint's own books."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/_stats") as response:
        found: dict[str, Any] = json.load(response)
        return found


def run(judge: str, cluster: Cluster, url: str, arguments: argparse.Namespace) -> list[str]:
    """Run one study, and read the endpoint's books before and after."""
    rows = [ROWS[i % len(ROWS)] for i in range(arguments.examples)]
    examples = split(rows, tune_size=len(rows))
    study = spec(judge, arguments.slots, url, len(rows))
    parent = start_study(study, examples, client=cluster.client, source=Source.REHEARSAL)
    before, begun = books(url), time.monotonic()
    if arguments.tune:
        tune_study(parent, client=cluster.client, broker_url=cluster.broker_url)
    else:
        arm = Arm(model=MODEL, template=0, params={"max_tokens": 400, "temperature": 0.8})
        config = Config(arm=arm, n=arguments.n)
        limit = worst_case_of_test(parent, config, cluster.client)
        record = start_test(parent, examples.tune, client=cluster.client, limit=limit)
        evaluate_config(record, config, client=cluster.client, broker_url=cluster.broker_url)
    wall_s, after = time.monotonic() - begun, books(url)
    calls = after["calls"] - before["calls"]
    latencies_s = calls * arguments.latency
    return [
        judge,
        str(calls),
        f"{latencies_s:.0f}",
        f"{wall_s:.1f}",
        f"{latencies_s / wall_s:.1f}",
        str(after["most_at_once"]),
    ]


def main() -> None:
    """Run the studies asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--examples", type=int, default=320)
    parser.add_argument("--n", type=int, default=2, help="answers per call")
    parser.add_argument("--tune", action="store_true", help="a whole search, not one config")
    parser.add_argument("--judge", nargs="+", default=["answers", "programs-reused", "programs"])
    arguments = parser.parse_args()
    os.environ.pop("BURSAR_REDIS_URL", None)
    table = Table("judge", "calls", "sum of latencies, s", "wall, s", "in flight", "most at once")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        additions = {"PYTHONPATH": str(Path(__file__).parent), "OPENAI_API_KEY": "rehearsal"}
        with (
            endpoint(folder, arguments.latency) as url,
            reach(Home(folder=folder)) as cluster,
            cluster.workers(
                concurrency=arguments.slots, additions=additions, on_failure=lambda: None
            ),
        ):
            warm_up = argparse.Namespace(**{**vars(arguments), "examples": 64})
            run("answers", cluster, url, warm_up)
            for judge in arguments.judge:
                table.add_row(*run(judge, cluster, url, arguments))
    Console().print(table)


if __name__ == "__main__":
    main()

"""What a coordinator takes for its results, in memory and time: from a thousand to a million of them.

    python bench/memory.py [--million] [--arms 100] [--examples 100]

The results are made up: draws of so many arms on so many examples, one a result, as they would lie in a
study's stream. Each number is of a process of its own. `told` reads the stream and tells a study's search
(`Results.read`, `Search.record`); `taken up` is what `bursar resume` does with it (`Drive.take_up`);
`the answer` is `Search.conclude`, which reads all results as if for the first time. Memory is resident,
before the first result and after the last; the peak is that of the process, with the answer.
Redis' bytes are those of the stream and of the set of what is in it; what a call leaves beside them
(its answer, its journal) is in `bench/throughput.py`.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bursar.cluster import reach
from bursar.home import Home
from coordinator.bounds import Bounds
from coordinator.data import Examples
from coordinator.drive import Drive
from coordinator.search import Search
from coordinator.start import start_study
from coordinator.tuning import open_search
from study import connection, keys
from study.config import Arm
from study.connection import Client
from study.messages import Paid, Scored
from study.results import Results
from study.spec import StudySpec
from study.studies import Source, Studies, StudyRecord
from study.trials import Trial

SIZES: Final = (1_000, 10_000, 100_000)
MILLION: Final = 1_000_000
WAYS: Final = ("told", "taken up")
BLOCK: Final = 2_000
MODELS: Final = ("small", "middle", "large")


def new_study(client: Client, arms: int, examples: int) -> StudyRecord:
    """A study with its trials, and no result yet."""
    spec = StudySpec.parse(
        {
            "name": "bench",
            "data": {"path": "examples/starter.jsonl", "tune_size": examples},
            "metric": {"name": "success", "evaluator": "python_tests"},
            "budget": {"optimization_usd": 1e6, "inference_usd": 1.0},
            "space": {
                "model": list(MODELS),
                "prompt": ["{prompt}", "Complete:\n{prompt}"],
                "n": {"low": 1, "high": 20},
            },
            "price": [{"model": model, "input": 0.1, "output": 0.4} for model in MODELS],
        }
    )
    row = {"prompt": "def f():\n", "entry_point": "f", "test": "def check(f):\n    assert f()\n"}
    rows = tuple((f"tune-{i}", row) for i in range(examples))
    whole = Examples(tune=rows, held_out=())
    record = start_study(spec, whole, client=client, source=Source.REHEARSAL)
    for number in range(arms):
        params = {"temperature": round(0.2 + number / arms, 4), "max_tokens": 500}
        arm = Arm(model=MODELS[number % 3], template=number % 2, params=params)
        Studies(client).save_trial(record.id, Trial(number=number, arm=arm))
    return record


def write(client: Client, record: StudyRecord, count: int) -> None:
    """Put results into the stream, spread evenly over arms and examples, one draw each."""
    chance = random.Random(0)
    trials = Studies(client).trials(record.id)
    examples = list(Studies(client).examples(record.id))
    stream, recorded = keys.results(record.id), keys.results_recorded(record.id)
    for start in range(0, count, BLOCK):
        with client.pipeline(transaction=False) as pipeline:
            for i in range(start, min(start + BLOCK, count)):
                rest, arm = divmod(i, len(trials))
                first_draw, example = divmod(rest, len(examples))
                tokens = chance.randint(50, 400)
                result = Scored(
                    trial=arm,
                    arm=trials[arm].arm.key,
                    example=examples[example],
                    first_draw=first_draw,
                    draws=1,
                    passes=[chance.random() < 0.2 + 0.6 * (example % 7) / 7],
                    paid=Paid(
                        calls=1,
                        prompt_tokens=60,
                        completion_tokens=tokens,
                        cost_nanodollars=6_000 + 400 * tokens,
                        latency_s=1.0,
                    ),
                )
                pipeline.sadd(recorded, result.evaluation)
                pipeline.xadd(stream, {"result": result.model_dump_json()})
            pipeline.execute()


def resident_mb() -> float:
    """This process' memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def tell(client: Client, record: StudyRecord, search: Search) -> None:
    """Read the stream, and tell the search."""
    search.restore(Studies(client).trials(record.id))
    results, position = Results(client, record.id), "0"
    while block := results.read(after=position):
        for _, result in block:
            assert isinstance(result, Scored)
            search.record(result)
        position = block[-1][0]


def take_up(client: Client, record: StudyRecord, search: Search, bounds: Bounds) -> None:
    """Resume, as far as before the first new evaluation."""
    with Drive.open(
        record,
        search,
        client=client,
        broker_url="redis://127.0.0.1:1/1",  # nothing is sent
        eval_func=None,
        bounds=bounds,
        on_progress=lambda _: None,
        stop=threading.Event(),
        clock=time.monotonic,
    ) as drive:
        drive.take_up()


def measure(url: str, study: str, way: str) -> dict[str, float]:
    """One process' part."""
    client = connection.connect(url)
    record = Studies(client).load(study)
    bounds = Bounds.of(record, client)
    search = open_search(record, client, bounds=bounds)
    before_mb, began_s, began_cpu_s = resident_mb(), time.monotonic(), time.process_time()
    if way == "told":
        tell(client, record, search)
    else:
        take_up(client, record, search, bounds)
    found = {
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "before_mb": before_mb,
        "after_mb": resident_mb(),
    }
    began_cpu_s = time.process_time()
    search.conclude()
    found["answer_s"] = time.process_time() - began_cpu_s
    search.close()
    return found | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def rows(url: str, client: Client, count: int, options: argparse.Namespace) -> list[list[str]]:
    """The lines of the table for so many results."""
    record = new_study(client, options.arms, options.examples)
    write(client, record, count)
    bytes_each = [
        client.memory_usage(name, samples=0) / count
        for name in (keys.results(record.id), keys.results_recorded(record.id))
    ]
    lines = []
    for way in WAYS:
        command = [sys.executable, __file__, "--process", url, record.id, way]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        lines.append(
            [
                f"{count:,}",
                way,
                f"{1e6 * found['wall_s'] / count:,.0f}",
                f"{1e6 * found['cpu_s'] / count:,.0f}",
                f"{found['before_mb']:,.0f}",
                f"{found['after_mb']:,.0f}",
                f"{found['peak_mb']:,.0f}",
                f"{found['answer_s']:.1f}",
                " + ".join(f"{each:,.0f}" for each in bytes_each),
            ]
        )
    client.delete(keys.results(record.id), keys.results_recorded(record.id))
    return lines


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--million", action="store_true", help="a million results as well; minutes")
    parser.add_argument("--arms", type=int, default=100)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--process", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        print(json.dumps(measure(*options.process)))
        return
    os.environ.pop(connection.URL_VARIABLE, None)
    table = Table(title=f"{options.arms} arms, {options.examples} examples, {os.cpu_count()} cores")
    for name in ("results", "", "us each, wall", "us each, CPU", "MB before", "MB after"):
        table.add_column(name, justify="right")
    for name in ("MB at most", "the answer, CPU s", "bytes each in Redis: stream + set"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as name, reach(Home(folder=Path(name))) as cluster:
        for count in (*SIZES, MILLION) if options.million else SIZES:
            for line in rows(cluster.url, cluster.client, count, options):
                table.add_row(*line)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()

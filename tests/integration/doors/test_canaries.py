"""Secrets are in the environment and nowhere else: planted, then looked for everywhere after a study."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from rehearsal import RehearsalServer, Synthetic
from tests.conftest import free_port, redis_server

from .conftest import MODEL, ROWS
from .flower import OPEN, PLAIN_PAGES, running_flower

SECRETS: Final = {
    "OPENAI_API_KEY": "canary-key-0cc175b9c0f1b6a831c399e269772661",
    "AZURE_OPENAI_API_KEY": "canary-azure-92eb5ffee6ae2fec3ad71c777531578f",
    "BURSAR_SEAL_KEY": "canary-seal-4a8a08f09d37b73795649038408b5f33",
}
PASSWORD: Final = "canary-redis-8277e0910d750195b448797616e091ad"
FLOWER_PASSWORD: Final = "canary-flower-e1671797c52e15f763380b45e841ec32"
BREAKING: Final = """
import os, sys
import workers.llm
def call(self, *args, **more):
    raise RuntimeError(f"nobody foresaw: {os.environ['OPENAI_API_KEY']} {os.environ['BURSAR_REDIS_URL']}")
if "breaks" in sys.argv:
    sys.argv.remove("breaks")
    workers.llm.Endpoint.call = call
from workers.__main__ import main
main()
"""
"""A worker; told so, one that an error nobody foresaw breaks in the middle of a call."""
JUDGE: Final = """
import os

def right(responses, **example):
    return {"right": float(any(example["solution"].strip() in text for text in responses))}

breaking = right

def raising(responses, **example):
    raise ValueError(f"here it is: {os.environ['OPENAI_API_KEY']} {os.environ['BURSAR_REDIS_URL']}")
"""


@pytest.fixture
def guarded_url(tmp_path: Path) -> Iterator[str]:
    """A durable Redis with a password, whose file is looked through, too."""
    port, folder = free_port(), tmp_path / "redis"
    folder.mkdir()
    command = [redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", "", "--rdbcompression", "no"]
    with subprocess.Popen(
        [*command, "--requirepass", PASSWORD], stdout=subprocess.DEVNULL
    ) as process:
        with redis.Redis(port=port, password=PASSWORD) as client:
            client.set_retry(redis.retry.Retry(redis.backoff.ConstantBackoff(0.1), 300))
            client.ping()
        yield f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        process.terminate()


@pytest.fixture
def endpoint() -> Iterator[RehearsalServer]:
    """It wants the planted key, and says so."""
    rows = [{"id": row["entry_point"], **row} for row in ROWS]
    with RehearsalServer(
        problems=rows,
        models={MODEL: (0.5, 2.0)},
        source=Synthetic(),
        api_key=SECRETS["OPENAI_API_KEY"],
    ) as running:
        yield running


def write_study(folder: Path, endpoint: RehearsalServer, judge: str) -> None:
    (folder / "canary_judge.py").write_text(JUDGE)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "study.toml").write_text(f"""
name = "canary"
data = {{path = "rows.jsonl", tune_size = 4}}
metric = {{name = "right", evaluator = "canary_judge:{judge}"}}
budget = {{optimization_usd = 0.02, inference_usd = 0.001, trials = 2}}
space = {{model = "{MODEL}", prompt = "{{prompt}}", max_tokens = 200, n = [1, 2]}}
endpoint = {{base_url = "{endpoint.base_url}", timeout_s = 5.0}}
limits = {{concurrency = 4}}
price = [{{model = "{MODEL}", input = 0.5, output = 2.0}}]
""")


def leaks(found: Mapping[str, bytes]) -> set[str]:
    """Where a secret stands."""
    secrets = [*SECRETS.values(), PASSWORD, FLOWER_PASSWORD]
    return {place for place, text in found.items() if any(s.encode() in text for s in secrets)}


def everything(url: str, folder: Path) -> dict[str, bytes]:
    """All keys and values of all databases as Redis keeps them, and all files."""
    found: dict[str, bytes] = {}
    for database in range(16):
        with redis.Redis.from_url(url.removesuffix("0") + str(database)) as client:
            for key in client.scan_iter():
                found[f"{database} {key!r}"] = key + _value(client, key)
    kept = [path for path in folder.rglob("*") if path.is_file()]
    return found | {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def _value(client: Any, key: bytes) -> bytes:
    read = {b"hash": client.hgetall, b"string": client.get, b"set": client.smembers,
            b"stream": client.xrange, b"zset": lambda k: client.zrange(k, 0, -1),
            b"list": lambda k: client.lrange(k, 0, -1)}  # fmt: skip
    return repr(read[client.type(key)](key)).encode()


@pytest.mark.parametrize(
    ("judge", "faults", "code"),
    [
        ("right", [], 0),
        ("right", [{"kind": "cut_after", "next": 1}], 0),
        ("right", [{"kind": "401", "next": 20}], 4),
        ("raising", [], None),
        ("breaking", [], 4),
    ],
    ids=[
        "success",
        "a cut connection",
        "a refused key",
        "a function that tells",
        "a worker that breaks",
    ],
)
def test_no_secret_is_left_anywhere(
    judge: str,
    faults: list[Any],
    code: int | None,
    guarded_url: str,
    endpoint: RehearsalServer,
    repository: Path,
    tmp_path: Path,
) -> None:
    write_study(tmp_path, endpoint, judge)
    endpoint.set_faults(faults)
    environment = {
        **os.environ,
        **SECRETS,
        "BURSAR_REDIS_URL": guarded_url,
        "PYTHONPATH": str(tmp_path),
        "BURSAR_DEBUG": "1",
    }
    events = redis.Redis.from_url(guarded_url.removesuffix("0") + "1").pubsub()
    events.psubscribe("*")  # what Flower would hear
    breaks = ["breaks"] if judge == "breaking" else []
    with ExitStack() as stack:
        flower = stack.enter_context(
            running_flower(repository, tmp_path, environment, password=FLOWER_PASSWORD)
        )
        log = stack.enter_context((tmp_path / "worker.log").open("wb"))
        worker = subprocess.Popen(
            [sys.executable, "-c", BREAKING, "--events", "--concurrency=4", *breaks],
            env=environment, cwd=tmp_path, stdout=log, stderr=log,
        )  # fmt: skip
        stack.callback(worker.wait, 60)
        stack.callback(worker.terminate)
        flower.wait_for_worker()
        ended = subprocess.run(
            [sys.executable, "-c", "from bursar.cli import main; main()", "tune", "study.toml"],
            env=environment, cwd=tmp_path, capture_output=True, timeout=200,
        )  # fmt: skip
        command_lines = b"".join(
            Path(f"/proc/{process}/cmdline").read_bytes() for process in (worker.pid, os.getpid())
        )
        flower.wait_for_task("FAILURE" if judge == "breaking" else "SUCCESS")
        pages = {page: flower.fetch(page) for page in flower.pages()}
        refused = {page: flower.fetch(page, with_password=False) for page in PLAIN_PAGES}
    with redis.Redis.from_url(guarded_url) as client:
        client.save()
    found = everything(guarded_url, tmp_path)
    heard = b""
    while message := events.get_message(timeout=0.1):
        if message["type"] == "pmessage":
            heard += base64.b64decode(json.loads(message["data"])["body"])
    events.close()
    found["events"] = heard
    found |= {f"{page} {which}": body for which, some in (("", pages), ("refused", refused))
              for page, (_, body) in some.items()}  # fmt: skip
    assert {page for page, (status, _) in refused.items() if status == 200} == OPEN
    assert b"task-received" in heard
    found |= {"stdout": ended.stdout, "stderr": ended.stderr, "command lines": command_lines}
    assert code is None or ended.returncode == code, ended.stderr.decode()[-3000:]
    assert any("paid_calls" in place for place in found) or code == 4
    assert b"evaluated" in found["worker.log"]
    assert any(place.endswith("dump.rdb") for place in found)
    assert any("appendonly" in place for place in found)
    shown = b"".join(body for status, body in pages.values() if status == 200)
    assert b"concurrency" in shown  # a worker's own page
    assert b"FAILURE" in shown if judge == "breaking" else b"SUCCESS" in shown
    if judge == "breaking":
        assert b"nobody foresaw" in shown
        assert b"task-failed" in heard
        assert b"nobody foresaw" in heard
        assert b"evaluation_broke" in found["worker.log"]
    assert leaks(found) == set()

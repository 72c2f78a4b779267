"""Logs are JSON on standard error, and hold no key."""

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from workers import logs
logs.configure()
structlog.get_logger().warning("call_failed", reason="key canary-1234567 was wrong", attempt=2)
logging.getLogger("celery").error("it said %s", "canary-1234567")
try:
    raise ValueError("canary-1234567")
except ValueError:
    structlog.get_logger().exception("evaluation_broke")
"""


def test_every_line_is_json_without_the_key() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"OPENAI_API_KEY": "canary-1234567"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, third = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    assert (first["event"], first["attempt"], first["level"]) == ("call_failed", 2, "warning")
    assert first["reason"] == "key [key] was wrong"
    assert second["event"] == "it said [key]"
    assert "ValueError: [key]" in third["exception"]

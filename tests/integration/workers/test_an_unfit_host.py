"""A worker on a host that breaks a promise of the sandbox: it says which, and does not start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

WORKER = """
from sandbox import Check
from workers.__main__ import main
main([], checks=lambda: [Check(name="network off", ok=False, detail="there is an eth0")])
"""


def test_a_worker_does_not_start_on_a_host_that_breaks_a_promise(
    redis_url: str, tmp_path: Path, repository: Path
):
    if os.environ.get("BURSAR_NO_ENGINE") == "1":
        pytest.skip("no container engine could be had on this machine")
    environment = {
        **os.environ,
        "BURSAR_REDIS_URL": redis_url,
        "PYTHONPATH": str(repository),
        "TMPDIR": str(tmp_path),  # nothing is known of this host there
    }
    command = [sys.executable, "-c", WORKER]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 4
    assert "'network off' (there is an eth0)" in done.stderr
    assert "python -m sandbox" in done.stderr
    assert "Traceback" not in done.stderr

"""A host, or a study's own image, that breaks a promise of the sandbox: nothing runs there."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.engine import connect
from study.messages import Fatal
from workers import app

from .conftest import Bench, MakeBench

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


@pytest.fixture
def image_without_python() -> Iterator[str]:
    """Something that can be named in [sandbox] image, and can't run a thing."""
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    name = f"bursar-test-unfit:{os.getpid()}"
    with closing(connect()) as client:
        client.api.import_image_from_data(tree.getvalue(), *name.split(":"))
        yield name
        client.api.remove_image(name)


def test_a_study_whose_own_image_fails_a_self_check_runs_nothing(
    image_without_python: str, make_bench: MakeBench, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # nothing is known of it there
    bench = make_bench(sandbox={"image": image_without_python})
    bench = bench.with_site(sandbox=app._Sandboxes().of)
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, Fatal)
    assert f"sandbox.image = '{image_without_python}'" in result.reason
    assert "self-check 'a container starts'" in result.reason
    assert "python3" in result.reason
    assert result.cause == "settings"
    assert nothing_was_bought(bench)


def nothing_was_bought(bench: Bench) -> bool:
    return bench.spent == bench.reserved == bench.in_doubt == 0


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("image", "bursar-test-no-such-image:1", "the engine has no such image"),
        ("image", "No Image's Name", "the engine takes it for no image's name"),
        ("runtime", "nonesuch", "the engine has no runtime 'nonesuch'"),
        ("packages", ["bursar-test-no-such-package"], "cannot install"),
    ],
    ids=["image that is missing", "no image's name", "runtime", "packages"],
)
def test_a_study_that_asks_for_what_is_not_here_is_told_so_before_a_cent_is_spent(
    setting: str, value: object, problem: str, make_bench: MakeBench, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    bench = make_bench(sandbox={setting: value})
    bench = bench.with_site(sandbox=app._Sandboxes().of)
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, Fatal)
    assert result.cause == "settings"
    assert result.reason.startswith(f"sandbox.{setting} = {value!r}: {problem}")
    assert nothing_was_bought(bench)

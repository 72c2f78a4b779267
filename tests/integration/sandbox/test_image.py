"""The image made from the interpreter at hand: small, complete, built once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from sandbox import (
    DockerSandbox,
    Limits,
    Program,
    SandboxError,
    build_image,
    open_sandbox,
    self_check,
)
from sandbox.engine import connect
from sandbox.image import _installed

pytestmark = pytest.mark.docker

SIZE_BYTES = 100 << 20
IMPORTS = "asyncio, ctypes, decimal, hashlib, json, math, random, re, sqlite3, ssl, typing, zlib"
DEBIAN_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient) -> str:
    return build_image(engine)


def test_the_same_interpreter_gives_the_same_image(engine: docker.DockerClient, image: str):
    assert image.startswith("bursar-sandbox:")
    created = engine.api.inspect_image(image)["Created"]
    assert build_image(engine) == image
    assert engine.api.inspect_image(image)["Created"] == created


def test_workers_of_a_host_that_start_together_build_the_image_once(
    engine: docker.DockerClient, repository: Path
):
    script = (
        "import sys\nfrom sandbox import image\nfrom sandbox.engine import connect\n"
        f"image.LAYOUT = 'test {os.getpid()}'\n"  # which no other image has
        "print('there', flush=True)\nsys.stdin.read()\n"
        "def build(*it):\n    print('built')\n    really(*it)\n"
        "really, image._import = image._import, build\n"
        "client = connect()\nprint(image.build_image(client))\nclient.close()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", script]
    workers = [
        subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "there\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    said = []
    for worker in workers:
        assert worker.stdout is not None
        said += worker.stdout.read().split()
        worker.stdout.close()
        assert worker.wait() == 0
    [name] = set(said) - {"built"}
    engine.api.remove_image(name)
    assert (said.count("built"), said.count(name)) == (1, len(workers))


def test_other_packages_give_another_image(engine: docker.DockerClient, image: str, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "sandbox.image._installed", lambda packages, _: asked.append(packages) or []
    )
    other = build_image(engine, ["six"])
    assert other != image
    assert asked == [["six"]]
    engine.api.remove_image(other)


def test_the_image_is_small(engine: docker.DockerClient, image: str):
    assert engine.api.inspect_image(image)["Size"] < SIZE_BYTES


def run(image: str, *sources: str) -> list[str]:
    sandbox = DockerSandbox(client=connect(), image=image)
    with sandbox.prepare(study="image", limits=Limits(), deadline_s=60) as box:
        results = box.run([Program(source=source, check="pass") for source in sources])
    sandbox.close()
    return [f"{result.verdict} {result.detail}".strip() for result in results]


def test_the_standard_library_is_all_there(image: str):
    assert (
        run(image, f"import {IMPORTS}", "assert __import__('sys').flags.isolated") == ["pass"] * 2
    )


def test_nothing_of_the_host_but_its_python_is_there(image: str):
    (said,) = run(
        image,
        "import os\n"
        "assert not {'home', 'root', 'work', 'var', 'opt', 'mnt'} & set(os.listdir('/'))\n"
        "assert open('/etc/passwd').read().count(':') == 12\n"
        "import importlib.util\n"
        "assert not any(map(importlib.util.find_spec, ['pip', 'docker', 'sandbox', 'tkinter']))",
    )
    assert said == "pass"


@pytest.mark.skipif(not Path(DEBIAN_PYTHON).exists(), reason=f"there is no {DEBIAN_PYTHON} here")
@pytest.mark.parametrize("venv", [False, True], ids=["itself", "in a venv"])
def test_debian_s_python_makes_an_image_too(
    engine: docker.DockerClient, tmp_path: Path, repository: Path, venv: bool
):
    python = DEBIAN_PYTHON
    if venv:
        made = subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "v"], check=False)
        if made.returncode:
            pytest.skip("Debian's python3-venv is not installed")
        python = str(tmp_path / "v/bin/python")
    here = Path(docker.__file__).parent.parent  # docker and what it needs, for any interpreter
    script = (
        "from sandbox import build_image\nfrom sandbox.engine import connect\n"
        "client = connect()\nprint(build_image(client))\nclient.close()"
    )
    environment = {**os.environ, "PYTHONPATH": f"{repository}:{here}"}
    done = subprocess.run(
        [python, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert run(done.stdout.strip(), f"import {IMPORTS}") == ["pass"]


def test_the_image_is_built_where_the_temporary_folder_is_another(
    engine: docker.DockerClient, image: str, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert build_image(engine) == image
    shutil.rmtree(tmp_path)


def test_this_host_keeps_every_promise(image: str):
    broken = [check for check in self_check(image=image) if not check.ok]
    assert broken == []


def test_an_image_that_was_removed_is_built_again(engine: docker.DockerClient, image: str):
    mine = f"bursar-sandbox:removed-{os.getpid()}"
    engine.api.tag(image, *mine.split(":"))
    rebuilt = []

    def rebuild() -> str:
        rebuilt.append(mine)
        engine.api.tag(image, *mine.split(":"))
        return mine

    sandbox = DockerSandbox(client=connect(), image=mine, rebuild=rebuild)
    engine.api.remove_image(mine, noprune=True)
    with sandbox.prepare(study="image", limits=Limits(), deadline_s=60) as box:
        assert box.run([Program(source="x = 1", check="assert x")])[0].passed
    sandbox.close()
    engine.api.remove_image(mine, noprune=True)
    assert rebuilt == [mine]


def test_a_package_that_does_not_exist_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SandboxError, match=r"cannot install .sandbox. packages nonesuch") as caught:
        _installed(["nonesuch"], tmp_path)
    assert "Mend the names" in caught.value.remedy


def test_a_runtime_that_the_engine_does_not_have_is_named_at_the_start(image: str):
    with pytest.raises(SandboxError, match="no runtime 'nonesuch'") as caught:
        open_sandbox(image=image, runtime="nonesuch")
    assert "daemon.json" in caught.value.remedy
    (found,) = self_check(image=image, runtime="nonesuch")
    assert not found.ok
    assert "nonesuch" in found.detail

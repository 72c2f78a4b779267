"""The cluster of compose.yaml: built, started with two workers, given a study, watched in Flower, taken down.

No registry is asked: the base images are made of Debian packages under the names that compose.yaml uses,
and Python packages come from a wheelhouse. Both are kept in .bursar/cache for the next run.
"""

import base64
import hashlib
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WITHOUT = [name for name in ("BURSAR_NO_ENGINE", "BURSAR_NO_COMPOSE") if os.environ.get(name)]
pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # the first time, on a machine that does other things as well
    pytest.mark.skipif(bool(WITHOUT), reason=f"{' and '.join(WITHOUT)} says that it can't be had"),
]

SUITE, PYTHON = "bookworm", "3.11"  # the Debian release, and its Python
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,redis-server"
BASE_IMAGES = ("python:3.11-slim", "redis:7")  # what compose.yaml and the Dockerfile begin from
ROLES = "coordinator,cli,workers,flower"
UNSEEN = "async-timeout"  # only Pythons before 3.11.3 need it: pip on a newer one leaves it out
SOURCES = ("bursar", "coordinator", "workers", "sandbox", "study", "rehearsal", "deploy")
FILES = ("pyproject.toml", "constraints.txt", "compose.yaml", ".dockerignore")
SOCKET = Path("/var/run/docker.sock")
START_TIMEOUT_S = 90.0
STUDY = """
name = "small"
[data]
path = "starter.jsonl"
shuffle_seed = 41
tune_size = 5
[budget]
optimization_usd = 0.2
inference_usd = 0.005
trials = 2
[space]
model = ["gpt-5.4-nano"]
prompt = ["{prompt}"]
max_tokens = {low = 200, high = 800, log = true}
n = {low = 1, high = 4}
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster while it is up."""

    folder: Path
    environment: Mapping[str, str]

    def compose(self, *arguments: str) -> str:
        """What docker-compose writes to standard output; its failure shows the rest."""
        return run(["docker-compose", *arguments], cwd=self.folder, env=self.environment)

    def bursar(self, *arguments: str) -> Any:
        """What a command of a coordinator answers."""
        coordinator = ["run", "--rm", "-T", "coordinator"]
        return json.loads(self.compose(*coordinator, "bursar", *arguments, "--json"))

    def flower(self, path: str, *, password: str | None = None) -> Any:
        """What Flower answers to somebody who knows the password, or is given another."""
        user = f"bursar:{password or self.environment['BURSAR_FLOWER_PASSWORD']}"
        address = f"http://{self.environment['BURSAR_FLOWER_LISTEN']}{path}"
        authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
        request = urllib.request.Request(address, headers={"Authorization": authorization})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def cluster(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, up with two workers; taken down with all it kept, whatever happens."""
    cache = repository / ".bursar" / "cache"
    folder = checkout_with_wheels(repository, cache / "compose")
    studies = tmp_path_factory.mktemp("studies")
    (studies / "small.toml").write_text(STUDY)
    shutil.copy(repository / "examples" / "starter.jsonl", studies)
    studies.chmod(0o755)
    here = Cluster(folder=folder, environment=environment(studies))
    with base_images(cache):
        here.compose("build", "--quiet")
        try:
            here.compose("up", "--detach", "--scale", "worker=2")
            wait_until(lambda: len(here.flower("/api/workers?refresh=1")) == 2)
            yield here
        finally:
            print(here.compose("logs", "--no-color", "--tail=40"))
            here.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")


@pytest.fixture(scope="module")
def outcome(cluster: Cluster) -> Any:
    """What the coordinator's container says of the study that it drove."""
    return cluster.bursar("rehearse", "/studies/small.toml")


def test_a_coordinator_on_demand_finds_the_best_configuration(
    cluster: Cluster, outcome: Any
) -> None:
    assert outcome["status"] == "complete"
    assert outcome["completions_paid"] > 0
    assert 0 < outcome["budget"]["spent_usd"] <= outcome["budget"]["limit_usd"] == 0.2
    best = cluster.bursar("best", outcome["study"])
    assert best["config"] == outcome["config"]
    assert best["config"]["model"] == "gpt-5.4-nano"


def test_flower_sees_both_workers_take_part(cluster: Cluster, outcome: Any) -> None:
    tasks = list(evaluations_ended(cluster).values())
    assert {task["name"] for task in tasks} == {"bursar.evaluate_example"}
    assert {task["state"] for task in tasks} == {"SUCCESS"}
    assert {task["worker"] for task in tasks} == set(cluster.flower("/api/workers"))


def test_flower_shows_what_was_evaluated_in_words(cluster: Cluster, outcome: Any) -> None:
    evaluations_ended(cluster)
    table = {"draw": 1, "start": 0, "length": 5, "order[0][column]": 0, "columns[0][data]": "name"}
    rows = cluster.flower(f"/tasks/datatable?{urllib.parse.urlencode(table)}")["data"]
    assert rows
    for row in rows:
        assert row["args"].startswith(f"{outcome['study']} trial ")
        assert " pass, $" in row["result"]


@pytest.mark.parametrize("page", ["/", "/tasks", "/api/workers", "/api/tasks"])
def test_flower_shows_nothing_without_the_password(cluster: Cluster, page: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        cluster.flower(page, password="wrong")
    refused.value.close()


def test_the_sandbox_holds_in_a_workers_container(cluster: Cluster) -> None:
    assert "FAIL" not in cluster.compose("exec", "-T", "worker", "python", "-m", "sandbox")


def test_a_worker_has_none_of_what_proposes(cluster: Cluster) -> None:
    look = (
        "import importlib.util as u; names = 'scipy pyarrow skopt datasets pandas openai docker';"
        "print(*(name for name in names.split() if u.find_spec(name)))"
    )
    assert cluster.compose("exec", "-T", "worker", "python", "-c", look).split() == [
        "openai",
        "docker",
    ]


@pytest.mark.parametrize("service", ["redis", "worker", "flower"])
def test_no_service_runs_as_root(cluster: Cluster, service: str) -> None:
    assert cluster.compose("exec", "-T", service, "id", "-u").strip() != "0"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")],
)
def test_redis_neither_loses_nor_evicts(cluster: Cluster, setting: str, value: str) -> None:
    said = cluster.compose("exec", "-T", "redis", "redis-cli", "config", "get", setting)
    assert said.split() == [setting, value]


def evaluations_ended(cluster: Cluster) -> Any:
    """The tasks that Flower knows, once it has been told how each of them ended."""
    running = {"PENDING", "RECEIVED", "STARTED"}
    tasks: dict[str, Any] = {}

    def all_have() -> bool:
        tasks.update(cluster.flower("/api/tasks"))
        return bool(tasks) and running.isdisjoint(task["state"] for task in tasks.values())

    wait_until(all_have)
    return tasks


def environment(studies: Path) -> dict[str, str]:
    """What compose.yaml takes from .env; names and ports that nobody else uses."""
    redis_port, flower_port = free_ports()
    settings = {
        "COMPOSE_PROJECT_NAME": "bursar-test",
        "BURSAR_IMAGE": "bursar-test",
        "BURSAR_REDIS_PASSWORD": secrets.token_hex(24),
        "BURSAR_REDIS_LISTEN": f"127.0.0.1:{redis_port}",
        "BURSAR_FLOWER_PASSWORD": secrets.token_hex(24),
        "BURSAR_FLOWER_LISTEN": f"127.0.0.1:{flower_port}",
        "BURSAR_DOCKER_GID": str(SOCKET.stat().st_gid),
        "BURSAR_STUDIES": str(studies),
        "COMPOSE_DOCKER_CLI_BUILD": "0",  # the classic builder: the one that is everywhere
        "DOCKER_BUILDKIT": "0",
    }
    kept = {"PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "LANG"}
    return {name: os.environ[name] for name in kept & os.environ.keys()} | settings


@contextmanager
def base_images(cache: Path) -> Iterator[None]:
    """Gives the base images their names while the context lasts, and leaves real ones alone."""
    ours = base_image(cache)
    for name in BASE_IMAGES:
        if not image_id(name):
            run(["docker", "tag", ours, name])
    try:
        yield
    finally:
        for name in BASE_IMAGES:
            if image_id(name) == image_id(ours):
                run(["docker", "rmi", name])


def base_image(cache: Path) -> str:
    """The stand-in for both base images: a small Debian with Python and Redis, made once."""
    recipe = hashlib.sha256(f"{SUITE} {PACKAGES}".encode()).hexdigest()[:8]
    name, tarball = f"bursar-test-base:{SUITE}-{recipe}", cache / f"{SUITE}-{recipe}.tar"
    cache.mkdir(parents=True, exist_ok=True)
    if not tarball.exists():
        with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as root:
            bootstrap = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}"]
            run([*bootstrap, SUITE, root, debian_mirror()])
            run(["chroot", root, "install", "--directory", "--owner=redis", "/data"])
            unneeded = ["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*"]
            run(["tar", "--create", "--file", f"{tarball}.unfinished", *unneeded, "-C", root, "."])
        Path(f"{tarball}.unfinished").rename(tarball)
    if not image_id(name):
        run(["docker", "import", "--change=WORKDIR /data", str(tarball), name])
    return name


def debian_mirror() -> str:
    """Where this machine's own apt finds Debian."""
    targets = [
        "apt-get",
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]
    found = [line.split(" ", 1) for line in run(targets).splitlines()]
    return next(uri for label, uri in found if label == "Debian")


def image_id(name: str) -> str:
    """The id of the image of that name; empty where the engine has none."""
    inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
    return subprocess.run(inspect, capture_output=True, text=True, check=False).stdout.strip()


def checkout_with_wheels(repository: Path, folder: Path) -> Path:
    """A copy of what the images are made of, with a wheelhouse: what docs/cluster.md calls air-gapped."""
    wheels = folder / "wheels"
    for name in SOURCES:
        shutil.rmtree(folder / name, ignore_errors=True)
        unwanted = shutil.ignore_patterns("__pycache__", "*.whl")
        shutil.copytree(repository / name, folder / name, ignore=unwanted)
    for name in FILES:
        shutil.copy(repository / name, folder)
    wanted = "".join((repository / name).read_text() for name in FILES[:2])
    stamp, digest = wheels / "stamp", hashlib.sha256(wanted.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(wheels, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels)]
        options = [f"--python-version={PYTHON}", "--only-binary=:all:", "--prefer-binary"]
        constraints = ["--constraint", str(folder / "constraints.txt")]
        wanted_now = ["setuptools>=77", UNSEEN, f"{folder}[{ROLES}]"]
        run([*pip, *options, *constraints, *wanted_now])
        stamp.write_text(digest)
    for wheel in wheels.glob("*.whl"):
        (folder / "deploy" / "wheels" / wheel.name).hardlink_to(wheel)
    return folder


def wait_until(holds: Callable[[], bool]) -> None:
    """Asks until it holds; what does not answer yet does not hold yet."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            if holds():
                return
        except OSError as error:  # nobody listens yet
            last = error
        else:
            last = OSError("it answers, but not so")
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {START_TIMEOUT_S:.0f} s: {last}") from last
        time.sleep(0.5)


def run(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Runs a command to its end; its output, or all that it said where it failed."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{said}"
    return done.stdout


def free_ports() -> tuple[int, int]:
    """Two TCP ports that nobody listens at, below those that the kernel gives to other tests."""
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found[0], found[1]

"""A worker's secrets are not in its boxes: neither in what the engine tells of them, nor inside."""

import json

import docker
import pytest

from sandbox import Limits, Program, Sandbox, owner

pytestmark = pytest.mark.docker

PLANTED = {
    name: f"canary-in-a-worker-{name}"
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "BURSAR_SEAL_KEY", "BURSAR_REDIS_URL")
}
LOOKS = """
import os
canary = ("cana" + "ry-in-a-worker").encode()
found = []
def look(path):
    try:
        with open(path, "rb") as file:
            if canary in file.read(100_000_000):
                found.append(path)
    except OSError:
        pass
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/usr")]
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            look(path)
for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
    look(f"/proc/{pid}/environ")
    look(f"/proc/{pid}/cmdline")
seen = repr(dict(os.environ))
"""
CHECK = """
assert found == [], found
assert "canary" not in seen, seen
"""


def test_no_secret_of_the_worker_is_in_a_box(
    sandbox: Sandbox, engine: docker.DockerClient, study: str, monkeypatch: pytest.MonkeyPatch
):
    for name, secret in PLANTED.items():
        monkeypatch.setenv(name, secret)
    limits = Limits(timeout_s=60.0, memory_mb=256)
    with sandbox.prepare(study=study, limits=limits, deadline_s=300) as box:
        [looked] = box.run([Program(source=LOOKS, check=CHECK)])
        [container] = engine.api.containers(all=True, filters={"label": f"{owner.STUDY}={study}"})
        told = json.dumps(engine.api.inspect_container(container["Id"]))
    assert looked.verdict == "pass", looked.detail
    assert "canary" not in told

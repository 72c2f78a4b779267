"""Chooses the sandbox for this host: the one place that decides between containers and processes."""

from collections.abc import Sequence
from typing import Literal

from sandbox.containers import DockerSandbox
from sandbox.contract import Sandbox
from sandbox.engine import connect, expect_image, expect_runtime
from sandbox.errors import SandboxError
from sandbox.image import build_image
from sandbox.processes import ProcessSandbox
from sandbox.reuse import ReusedBoxes


def open_sandbox(
    *,
    runtime: str | None = None,
    image: str | None = None,
    packages: Sequence[str] = (),
    evaluations_per_container: int = 1,
    allow_processes_for: Literal["synthetic"] | None = None,
) -> Sandbox:
    """Opens the sandbox of this host, and builds its image if it has none.

    Args:
        runtime: the engine's runtime, such as "runsc"; its default if left out.
        image: an image with `python3` in it; if left out, one is built from this interpreter.
        packages: what goes into that image beyond the standard library.
        evaluations_per_container: 1, a container for each; more trade some of that wall for speed
            (see `sandbox.reuse`).
        allow_processes_for: "synthetic" where, without an engine, a rehearsal's own completions
            may run as plain processes; all others are refused there.

    Returns:
        A `DockerSandbox` (or one that reuses its boxes); a `ProcessSandbox` where there is no engine
        and that is allowed.

    Raises:
        UnusableSetting: the engine has no such runtime or image, or no such packages can be had.
        SandboxError: no engine can be reached, or it has no image and cannot be given one.
        ValueError: both an image and packages for it, or processes for something else.
    """
    if image and packages:
        raise ValueError(f"packages {list(packages)} cannot be put into your own image {image!r}")
    if allow_processes_for not in (None, "synthetic"):
        raise ValueError(f"allow_processes_for must be 'synthetic', not {allow_processes_for!r}")
    try:
        client = connect()
    except SandboxError:
        if allow_processes_for is None:
            raise
        return ProcessSandbox()

    def build() -> str:
        return build_image(client, packages)

    rebuild = None if image else build
    try:
        expect_runtime(client, runtime)
        if image:
            expect_image(client, image)
        else:
            image = build()
    except SandboxError:
        client.close()
        raise
    sandbox = DockerSandbox(client=client, image=image, runtime=runtime, rebuild=rebuild)
    if evaluations_per_container == 1:
        return sandbox
    return ReusedBoxes(sandbox, uses_max=evaluations_per_container)

"""What must not outlive the workers that made it: containers, and the processes that judge."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import docker

from sandbox import owner, reap

PATIENT_S: Final = 60.0
"""The engine may still be making, or removing, what a killed worker asked for."""


def containers(study: str) -> Iterator[str]:
    """A sentence where containers of a study are left, once any other worker would have reaped."""
    with closing(docker.from_env()) as client:
        ends_s = time.monotonic() + PATIENT_S
        while True:
            reap(client)
            found = client.api.containers(all=True, filters={"label": f"{owner.STUDY}={study}"})
            if not found:
                return
            if time.monotonic() > ends_s:
                yield f"{len(found)} containers are left: {[one['Names'] for one in found]}"
                return
            time.sleep(0.5)


def judges(folder: Path) -> Iterator[str]:
    """A sentence where processes that judge in a folder are left."""
    ends_s = time.monotonic() + PATIENT_S
    while left := list(_judges(folder)):
        if time.monotonic() > ends_s:
            yield f"judges are left: {left}"
            return
        time.sleep(0.1)


def _judges(folder: Path) -> Iterator[int]:
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"workers.judge" in words and Path(os.readlink(process / "cwd")) == folder:
                yield int(process.name)
        except OSError:  # it has ended
            continue

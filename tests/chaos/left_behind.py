"""What must not outlive the workers that made it: containers, and the processes that judge."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import docker

from sandbox import owner, reap

PATIENT_S: Final = 60.0
"""The engine may still be making, or removing, what a killed worker asked for."""


def containers(study: str, pids: Iterable[int]) -> Iterator[str]:
    """A sentence where containers are left, once any other worker would have reaped.

    Args:
        study: whose containers.
        pids: of the workers whose other containers (those of a self-check, say) are looked for, too.
    """
    if os.environ.get("BURSAR_NO_ENGINE") == "1":  # nobody here could make one
        return
    workers = {str(pid) for pid in pids}
    with closing(docker.from_env()) as client:
        ends_s = time.monotonic() + PATIENT_S
        while True:
            reap(client)
            found = [
                one
                for one in client.api.containers(all=True, filters={"label": owner.OWNER})
                if one["Labels"][owner.STUDY] == study
                or one["Labels"][owner.OWNER].split()[1] in workers
            ]
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

"""Whose a container is: written on its labels when it is made, read by the reaper."""

import os
import socket
import time
from collections.abc import Mapping

STUDY = "bursar.study"
DEADLINE = "bursar.deadline"
OWNER = "bursar.owner"
UNKNOWN = "unknown"


def labels(study: str, deadline_s: float) -> dict[str, str]:
    """Returns the labels of a container that this process makes now."""
    return {
        STUDY: study,
        DEADLINE: str(int(time.time() + deadline_s) + 1),
        OWNER: f"{_place()} {os.getpid()} {_started(os.getpid())}",
    }


def is_abandoned(labels: Mapping[str, str], now_s: float) -> bool:
    """Tells whether nobody wants the container any more.

    Args:
        labels: the container's.
        now_s: the time, in unix seconds.

    Returns:
        True past its deadline, and where its owner lived here and has gone. Of an owner in another
        place (another machine or container that uses the same engine) only the deadline tells.
    """
    if now_s > _number(labels.get(DEADLINE, "0")):
        return True
    place, _, life = labels.get(OWNER, "").partition(" ")
    pid, _, started = life.partition(" ")
    if place != _place() or started == UNKNOWN:
        return False
    return _started(_number(pid)) not in (started, UNKNOWN)


def _place() -> str:
    """The set of processes that we can see: a host's, or a container's."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks, so that a reused pid is not taken for it."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state, *rest = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    except (OSError, ValueError):  # out of descriptors, say: that tells nothing of others
        return UNKNOWN
    return "gone" if state in "ZX" else rest[18]


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0

"""Whose a container is: written on its labels when it is made, read by the reaper."""

import os
import socket
import time
import uuid
from collections.abc import Mapping

STUDY = "bursar.study"
DEADLINE = "bursar.deadline"
OWNER = "bursar.owner"
BOX = "bursar.box"
UNKNOWN = "unknown"

_held: set[str] = set()
"""The boxes that this process wants: begun, and neither closed nor given up."""


def hold() -> str:
    """Begins a box of this process, and returns its name, for its container's label."""
    box = uuid.uuid4().hex
    _held.add(box)
    return box


def release(box: str) -> None:
    """Gives a box up: what there is of it, or still comes of it in a daemon that hung, may be reaped."""
    _held.discard(box)


def labels(
    study: str, deadline_s: float, *, box: str = "", now_s: float | None = None
) -> dict[str, str]:
    """Returns the labels of a container that this process makes now.

    Args:
        study: whose programs it is for.
        deadline_s: seconds from now.
        box: the name from `hold`; without it the container is wanted for as long as we live.
        now_s: the engine's time, in unix seconds; ours if left out.
    """
    now_s = time.time() if now_s is None else now_s
    return {
        STUDY: study,
        DEADLINE: str(int(now_s + deadline_s) + 1),
        OWNER: f"{_place()} {os.getpid()} {_started(os.getpid())}",
        **({BOX: box} if box else {}),
    }


def is_abandoned(labels: Mapping[str, str], now_s: float) -> bool:
    """Tells whether nobody wants the container any more.

    Args:
        labels: the container's.
        now_s: the time, in unix seconds.

    Returns:
        True past its deadline, where its owner lived here and has gone, and where we own it and have
        given its box up. Of an owner in another place (another machine or container that uses the same
        engine) only the deadline tells.
    """
    if now_s > _number(labels.get(DEADLINE, "0")):
        return True
    place, _, life = labels.get(OWNER, "").partition(" ")
    pid, _, started = life.partition(" ")
    if place != _place() or started == UNKNOWN:
        return False
    if (now_started := _started(_number(pid))) in (started, UNKNOWN):
        ours = now_started == started and _number(pid) == os.getpid()
        return ours and BOX in labels and labels[BOX] not in _held
    return True


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

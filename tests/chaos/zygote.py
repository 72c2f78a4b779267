"""Zygote: a process that has imported everything, and forks workers and commands off in no time.

What it forks are processes like any others: each has its own session, log, environment and connections,
and can be killed with -9. Only their imports are shared, which would take most of a schedule's time. The
wall clock is one that can be set for each of them: `time.time` is replaced before anybody imports it.

It reads orders (JSON, a line each) from standard input, and writes what it forked and what ended.
"""

import ctypes
import json
import os
import select
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

_real_time = time.time
_clock_file: list[Path] = []


def _set_time() -> float:
    """The wall clock, as far as this process's clock file lets it be right."""
    if not _clock_file:
        return _real_time()
    return _real_time() + struct.unpack("d", _clock_file[0].read_bytes())[0]


time.time = _set_time

PR_SET_PDEATHSIG = 1
POLL_S = 0.02


def preload() -> None:
    """Import what workers and commands import; nothing here connects or starts a thread."""
    import celery.apps.worker
    import celery.bin.worker
    import celery.concurrency.thread
    import celery.events.state
    import datasets
    import kombu.transport.redis
    import openai.resources.chat
    import skopt

    import bursar.cli.commands
    import bursar.sitting
    import workers.__main__
    import workers.evaluate
    import workers.llm
    import workers.upkeep

    del celery, datasets, kombu, openai, skopt, bursar, workers


def quicken(pace: float) -> None:
    """Let every bound on silence be shorter, so that a schedule takes seconds."""
    from coordinator import drive
    from study import fleet
    from study.studies import Studies
    from workers import buying

    fleet.HEARTBEAT_S *= pace
    fleet.HEARTBEAT_TTL_MS = int(fleet.HEARTBEAT_TTL_MS * pace)
    fleet.SILENT_S *= pace
    fleet.LOOKS_APART_S *= pace
    Studies.lease_ms = int(Studies.lease_ms * pace)
    drive.TICK_S *= pace
    buying.KEEP_PAUSE_S *= pace


def become(order: dict[str, Any]) -> int:
    """In the child: be a worker or a command, to its end."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(order["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    errors = os.open(order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, descriptor in enumerate((nothing, output, errors)):
        os.dup2(descriptor, number)
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.path.insert(0, order["folder"])
    _clock_file.append(Path(order["clock"]))
    quicken(order["pace"])
    sys.argv = [order["what"], *order["arguments"]]
    code: Any = 0
    try:
        if order["what"] == "worker":
            from workers.__main__ import main
        else:
            from bursar.cli import main
        main()
    except SystemExit as exc:
        code = exc.code
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


def serve() -> None:
    """Fork what is asked for, and say what ended, until standard input ends."""
    buffer = b""
    say({"ready": True})
    while True:
        if select.select([0], [], [], POLL_S)[0]:
            read = os.read(0, 65536)
            if not read:
                return
            buffer += read
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            begin(json.loads(line))
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def begin(order: dict[str, Any]) -> None:
    """Fork one process."""
    pid = os.fork()
    if pid:
        say({"begun": pid, "order": order["number"]})
        return
    code = 70
    try:
        code = become(order)
    except BaseException:  # noqa: BLE001 (the end of a process: it is written down)
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def say(words: dict[str, Any]) -> None:
    """Tell whoever started us."""
    os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    preload()
    serve()

"""Named checks that the sandbox holds on this host: for `python -m sandbox`, doctors and workers."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import docker

from sandbox.containers import FIRST_UID, DockerSandbox
from sandbox.engine import connect, engine_errors, expect_image, expect_runtime
from sandbox.errors import SandboxError
from sandbox.image import build_image
from sandbox.limits import Limits
from sandbox.program import Outcome, Program, RunResult

LIMITS = Limits(timeout_s=30.0, memory_mb=128, pids=16)
"""Time enough on any host: what is tried is another promise than that of an end in time."""
BRIEF = Limits(timeout_s=1.0, memory_mb=128)
DEADLINE_S = 600.0
RUNC_WITH_KNOWN_ESCAPES = (1, 1, 12)
"""Below it, CVE-2024-21626 leads out of a container, unless the distribution has patched it."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise of the sandbox, and whether this host keeps it."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A program whose outcome tells whether a promise is kept."""

    name: str
    source: str
    expected: Outcome
    exception: str | None = None
    check: str = "pass"
    limits: Limits = LIMITS

    def judge(self, result: RunResult) -> Check:
        """Compares the outcome with the one that a tight sandbox gives."""
        ok = result.outcome is self.expected and self.exception in (None, result.exception)
        said = result.verdict + (f" ({result.detail})" if result.detail else "")
        return Check(name=self.name, ok=ok, detail=said if ok else f"{said}, not {self.expected}")


PROBES = (
    Probe(
        name="a right program passes",
        source="def f(x): return x + 1",
        check="assert f(1) == 2",
        expected=Outcome.passed,
    ),
    Probe(
        name="a wrong one fails",
        source="def f(x): return x",
        check="assert f(1) == 2",
        expected=Outcome.failed,
    ),
    Probe(
        name="network off",
        source="import socket\nassert [n for _, n in socket.if_nameindex()] in ([], ['lo'])\n"
        "socket.create_connection(('192.0.2.1', 80), 1)",
        expected=Outcome.failed,
        exception="OSError",
    ),
    Probe(
        name="root read-only",
        source="import os\nfor folder, _, _ in os.walk('/usr/local'):\n"
        "    try: open(folder + '/x', 'w')\n    except OSError: continue\n"
        "    else: raise AssertionError(folder)\n",
        expected=Outcome.passed,
    ),
    Probe(
        name="memory, of a process",
        source="x = bytearray(1 << 30)",
        expected=Outcome.failed,
        exception="MemoryError",
    ),
    Probe(
        name="memory, of the container",
        source="import mmap\nx = mmap.mmap(-1, 1 << 30)\nx[::4096] = bytes(1 << 18)",
        expected=Outcome.oom_killed,
    ),
    Probe(
        name="pids",
        source="import os, time\nfor _ in range(100):\n    if os.fork() == 0: time.sleep(60)\n",
        expected=Outcome.failed,
        exception="BlockingIOError",
    ),
    Probe(
        name="timeout",
        # It only waits, deaf to what it can be: how busy the host is makes no odds.
        source="import signal\nfor number in signal.valid_signals() - {9, 19}:\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "while True: signal.pause()",
        expected=Outcome.timed_out,
        limits=BRIEF,
    ),
    Probe(
        name="uid separation",
        source="import os\nassert os.getuid() == os.geteuid() >= 1000, os.getuid()\nos.kill(1, 9)",
        expected=Outcome.failed,
        exception="PermissionError",
    ),
    Probe(
        name="no capabilities",
        source="status = dict(l.split(':\\t') for l in open('/proc/self/status') if ':\\t' in l)\n"
        "assert int(status['CapEff'], 16) == int(status['CapPrm'], 16) == 0\n"
        "assert status['NoNewPrivs'].strip() == '1'\n",
        expected=Outcome.passed,
    ),
    Probe(
        name="no environment",
        source="import os; assert not os.environ, os.environ",
        expected=Outcome.passed,
    ),
    Probe(
        name="no forged pass",
        source="import os\nfor descriptor in range(3, 64):\n"
        "    for word in (b'ready', b'passed', b'passed\\0' + b'0' * 32):\n"
        "        try: os.write(descriptor, word)\n        except OSError: pass\nos._exit(0)\n",
        expected=Outcome.left_early,
    ),
    Probe(
        name="nothing left behind",
        source="import os\nassert os.listdir('/tmp') == [os.path.basename(os.getcwd())]\n"
        "uids = sorted(os.stat(f'/proc/{p}').st_uid for p in os.listdir('/proc') if p.isdigit())\n"
        f"assert uids == [0, 0, {FIRST_UID}, os.getuid()], uids\n",  # runner, steward, judge, itself
        expected=Outcome.passed,
    ),
)


START = "a container starts"
PROMISES = frozenset({START, *(probe.name for probe in PROBES)})
"""What a worker's host must keep. Not that there is an engine, and room for an image: these may come back."""


def self_check(
    *,
    runtime: str | None = None,
    image: str | None = None,
    packages: Sequence[str] = (),
) -> list[Check]:
    """Tries every promise on the real engine.

    Args:
        runtime: as for `open_sandbox`.
        image: as for `open_sandbox`.
        packages: as for `open_sandbox`.

    Returns:
        One check each for the engine, the image, a container's start and every probe, up to the first
        of which nothing can be said.
    """
    checks: list[Check] = []
    try:
        with closing(connect()) as client:
            expect_runtime(client, runtime)
            checks.append(_engine(client))
            if image:
                expect_image(client, image)
            else:
                image = build_image(client, packages)
            checks.append(Check(name="image", ok=True, detail=image))
            sandbox = DockerSandbox(client=client, image=image, runtime=runtime)
            with closing(sandbox), ExitStack() as stack:
                boxes = {
                    limits: stack.enter_context(
                        sandbox.prepare(study="self-check", limits=limits, deadline_s=DEADLINE_S)
                    )
                    for limits in dict.fromkeys(probe.limits for probe in PROBES)
                }
                for box in boxes.values():
                    box.run([])  # waits for its start
                checks.append(Check(name=START, ok=True, detail="and its runner answers"))
                for probe in PROBES:
                    program = Program(source=probe.source, check=probe.check)
                    checks.append(probe.judge(boxes[probe.limits].run([program])[0]))
    except SandboxError as error:
        names = ("engine", "image", START, *(probe.name for probe in PROBES))
        checks.append(Check(name=names[len(checks)], ok=False, detail=str(error)))
    return checks


def _engine(client: docker.DockerClient) -> Check:
    """Says what answers, and warns of a runc with known ways out."""
    with engine_errors("cannot ask the engine for its version"):
        version = client.version()
    parts = {part["Name"]: part["Version"] for part in version.get("Components", ())}
    detail = f"{version.get('Version', '?')} at {client.api.base_url}"
    runc = parts.get("runc", "")
    numbers = tuple(int(n) for n in runc.split("+")[0].split("~")[0].split(".") if n.isdecimal())
    if numbers and numbers < RUNC_WITH_KNOWN_ESCAPES:
        detail += f"; runc {runc}: make sure your distribution has patched CVE-2024-21626"
    return Check(name="engine", ok=True, detail=detail)

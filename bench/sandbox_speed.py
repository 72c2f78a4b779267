"""Programs a second: one `docker run` for each against ours; same programs, limits and machine.

Writes what it prints into a file, too: python bench/sandbox_speed.py [FILE]
"""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import docker

from sandbox import DockerSandbox, Limits, Program, build_image
from sandbox.engine import connect
from sandbox.image import REPOSITORY, put_into
from workers.box import Box

PROGRAMS_PER_EXAMPLE = 10
EXAMPLES = 8
DOCKER_RUNS = 8
FURTHER = 200
CALL_S = 0.5
"""The time that a call to the API takes, while the container starts."""
CALLS_A_SECOND = 2.0
"""How often an evaluation begins, in the measurement of its wait: below what the engine can start."""
WAITS = 30
BURST = 24
PROGRAM = Program(source="def f(x):\n    return x + 1\n", check="assert f(1) == 2")
LIMITS = Limits()
WALLS = ["--rm", "--network=none", "--read-only", f"--memory={LIMITS.memory_mb}m"]
WALLS += [f"--memory-swap={LIMITS.memory_mb}m", f"--pids-limit={LIMITS.pids}"]
WALLS += [f"--cpus={LIMITS.cpus:g}"]
COMMAND = "python bench/sandbox_speed.py"


def docker_run_s(image: str) -> float:
    """Seconds that a program costs with a container of its own."""
    text = f"{PROGRAM.source}\n{PROGRAM.check}"
    begin = time.monotonic()
    for _ in range(DOCKER_RUNS):
        command = ["docker", "run", *WALLS, image, "python3", "-I", "-c", text]
        subprocess.run(command, check=True)
    return (time.monotonic() - begin) / DOCKER_RUNS


def box_of(sandbox: DockerSandbox) -> Box:
    """A worker's own box."""
    return Box(sandbox, study="bench", limits=LIMITS, deadline_s=300, sleep=time.sleep)


def phases(sandbox: DockerSandbox) -> tuple[float, float, float]:
    """Medians of the seconds until a box has started, of ten programs, and of its removal."""
    spent: list[list[float]] = []
    for _ in range(EXAMPLES):
        times = [time.monotonic()]
        with sandbox.prepare(study="bench", limits=LIMITS, deadline_s=300) as box:
            box.run([])
            times.append(time.monotonic())
            assert all(result.passed for result in box.run([PROGRAM] * PROGRAMS_PER_EXAMPLE))
            times.append(time.monotonic())
        times.append(time.monotonic())
        spent.append([b - a for a, b in pairwise(times)])
    started, ten, removed = (statistics.median(column) for column in zip(*spent, strict=True))
    return started, ten, removed


def waits_s(sandbox: DockerSandbox) -> list[float]:
    """How long evaluations wait for their container, after calls that took half a second."""
    waits: list[float] = []

    def evaluate() -> None:
        with box_of(sandbox) as box:
            box.prepare()
            time.sleep(CALL_S)
            begin = time.monotonic()
            box.run([])
            waits.append(time.monotonic() - begin)

    threads = [threading.Thread(target=evaluate) for _ in range(WAITS)]
    for thread in threads:
        thread.start()
        time.sleep(1 / CALLS_A_SECOND)
    for thread in threads:
        thread.join()
    return sorted(waits)


def further_s(sandbox: DockerSandbox) -> float:
    """Seconds of one more program in a box that has started."""
    with box_of(sandbox) as box:
        box.run([PROGRAM])
        begin = time.monotonic()
        box.run([PROGRAM] * FURTHER)
        return (time.monotonic() - begin) / FURTHER


def starts_a_second(sandbox: DockerSandbox) -> float:
    """What the engine can do: containers made, used once and removed, as many at once as we let it."""
    begin = time.monotonic()
    boxes = [sandbox.prepare(study="bench", limits=LIMITS, deadline_s=300) for _ in range(BURST)]
    for box in boxes:
        box.run([])
        box.close()
    return BURST / (time.monotonic() - begin)


def image_build_s(client: docker.DockerClient) -> float:
    """Seconds until the engine has an image of this interpreter that it did not have."""
    name = f"{REPOSITORY}:bench-{os.getpid()}"
    begin = time.monotonic()
    put_into(client, name)
    spent_s = time.monotonic() - begin
    client.api.remove_image(name)
    return spent_s


def report() -> Iterator[str]:
    """The table, line by line; what counts is the ratio."""
    load = os.getloadavg()[0]
    client = connect()
    image = build_image(client)
    sandbox = DockerSandbox(client=client, image=image)
    alone_s = docker_run_s(image)
    started, ten, removed = phases(sandbox)
    all_s = (started + ten + removed) / PROGRAMS_PER_EXAMPLE
    hidden_s = (ten + removed) / PROGRAMS_PER_EXAMPLE
    waits, further, starts = waits_s(sandbox), further_s(sandbox), starts_a_second(sandbox)
    size, build = client.api.inspect_image(image)["Size"] / 1e6, image_build_s(client)
    sandbox.close()
    yield "| | ms a program | programs/s | times `docker run` |"
    yield "|---|---|---|---|"
    for what, seconds in (
        ("`docker run --rm` for each", alone_s),
        (f"ours, all costs, n={PROGRAMS_PER_EXAMPLE}", all_s),
        (f"ours, the start hidden by the call, n={PROGRAMS_PER_EXAMPLE}", hidden_s),
        ("ours, each further program", further),
    ):
        ratio = alone_s / seconds
        yield f"| {what} | {seconds * 1e3:.1f} | {1 / seconds:.1f} | {ratio:.1f} |"
    yield ""
    yield "| where the time goes | |"
    yield "|---|---|"
    yield f"| a container until its runner is ready, ms | {started * 1e3:.0f} |"
    yield f"| ten programs, ms | {ten * 1e3:.0f} |"
    yield f"| removed, ms | {removed * 1e3:.0f} |"
    yield f"| containers a second, started and removed, {BURST} at once | {starts:.1f} |"
    wait = f"{waits[len(waits) // 2] * 1e3:.1f}, {waits[len(waits) * 9 // 10] * 1e3:.1f}"
    yield (
        f"| an evaluation's wait for its container, ms (p50, p90): calls of {CALL_S} s, "
        f"{CALLS_A_SECOND:g} begun a second | {wait} |"
    )
    yield f"| the image, MB | {size:.0f} |"
    yield f"| the image, built where there was none, s | {build:.1f} |"
    now = os.getloadavg()[0]
    yield f"| load of the {os.cpu_count()} CPUs, before and after | {load:.1f}, {now:.1f} |"


def main() -> None:
    """Measures, prints, and writes the file if there is a name for one."""
    lines = []
    for line in report():
        print(line)
        lines.append(line)
    if len(sys.argv) > 1:
        file = Path(sys.argv[1])
        file.parent.mkdir(parents=True, exist_ok=True)
        head = f"# The sandbox's speed\n\nWritten by `{COMMAND} {file}`; read the ratios.\n\n"
        file.write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

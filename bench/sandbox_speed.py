"""Programs a second: one `docker run` for each against ours; same programs, limits and machine."""

import statistics
import subprocess
import time
from itertools import pairwise

from sandbox import DockerSandbox, Limits, Program, build_image
from sandbox.engine import connect

PROGRAMS_PER_EXAMPLE = 10
EXAMPLES = 8
DOCKER_RUNS = 8
PROGRAM = Program(source="def f(x):\n    return x + 1\n", check="assert f(1) == 2")
WALLS = ["--rm", "--network=none", "--read-only", "--memory=256m", "--memory-swap=256m"]
LIMITS = ["--pids-limit=32", "--cpus=1"]


def docker_run_s(image: str) -> float:
    """Seconds that a program costs with a container of its own."""
    text = f"{PROGRAM.source}\n{PROGRAM.check}"
    begin = time.monotonic()
    for _ in range(DOCKER_RUNS):
        command = ["docker", "run", *WALLS, *LIMITS, image, "python3", "-I", "-c", text]
        subprocess.run(command, check=True)
    return (time.monotonic() - begin) / DOCKER_RUNS


def main() -> None:
    """Measures and prints; what counts is the ratio."""
    client = connect()
    image = build_image(client)
    sandbox = DockerSandbox(client=client, image=image)
    alone_s = docker_run_s(image)
    ready_s, ten_s, close_s = [], [], []
    for _ in range(EXAMPLES):
        times = [time.monotonic()]
        with sandbox.prepare(study="bench", limits=Limits(), deadline_s=300) as box:
            box.run([PROGRAM])
            times.append(time.monotonic())
            assert all(result.passed for result in box.run([PROGRAM] * PROGRAMS_PER_EXAMPLE))
            times.append(time.monotonic())
        times.append(time.monotonic())
        for kind, (a, b) in zip((ready_s, ten_s, close_s), pairwise(times), strict=True):
            kind.append(b - a)
    with sandbox.prepare(study="bench", limits=Limits(), deadline_s=300) as box:
        box.run([PROGRAM])
        begin = time.monotonic()
        box.run([PROGRAM] * 200)
        further_s = (time.monotonic() - begin) / 200
    sandbox.close()
    ready, ten, close = map(statistics.median, (ready_s, ten_s, close_s))
    ours_s = (ready + ten + close) / PROGRAMS_PER_EXAMPLE
    print(f"a container for each program   {alone_s * 1e3:7.1f} ms a program")
    print(
        f"ours, all costs, n=10          {ours_s * 1e3:7.1f} ms a program   {alone_s / ours_s:5.1f} times"
    )
    hidden_s = (ten + close) / PROGRAMS_PER_EXAMPLE
    print(
        f"ours, start hidden, n=10       {hidden_s * 1e3:7.1f} ms a program   {alone_s / hidden_s:5.1f} times"
    )
    print(f"ours, each further program     {further_s * 1e3:7.1f} ms")
    print(
        f"ready {ready * 1e3:.0f} ms, ten programs {ten * 1e3:.0f} ms, removed {close * 1e3:.0f} ms (medians)"
    )


if __name__ == "__main__":
    main()

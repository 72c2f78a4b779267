"""A worker as a process of its own: `python -m workers --concurrency 16`."""

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence

from sandbox import Check
from sandbox.fitness import UnfitHost, expect_fit
from study import connection
from study.errors import BursarError, InfrastructureError, RedisRefuses
from workers.site import SLOTS


def main(
    arguments: Sequence[str] | None = None, *, checks: Callable[[], list[Check]] | None = None
) -> None:
    """Evaluate until SIGTERM; what is under way then is finished first.

    Args:
        arguments: of the command line; this process's, if left out.
        checks: what this host must pass for a worker to start; the sandbox's own, if left out.
    """
    parser = argparse.ArgumentParser(
        prog="python -m workers",
        description="Evaluate examples for the studies in the Redis that BURSAR_REDIS_URL names.",
    )
    parser.add_argument(
        "--concurrency", type=int, default=SLOTS, metavar="N", help="evaluations at once"
    )
    parser.add_argument("--hostname", help="the worker's name in Flower (by default, this host's)")
    parser.add_argument(
        "--events",
        action="store_true",
        help="tell of every evaluation, for Flower; left out, only once a Flower asks for it",
    )
    options = parser.parse_args(arguments)
    name = options.hostname or f"worker-{os.getpid()}"
    if "@" not in name:
        name = f"{name}@{socket.gethostname()}"
    try:
        from workers.app import app, redis_url  # reads the environment, which may be wrong

        _look_at_redis(redis_url())
        expect_fit(checks=checks)
    except UnfitHost as exc:
        print(exc, file=sys.stderr)  # noqa: T201 (there are no logs yet)
        sys.exit(InfrastructureError.exit_code)
    except BursarError as exc:
        print(exc, file=sys.stderr)  # noqa: T201 (there are no logs yet)
        sys.exit(exc.exit_code)
    app.worker_main(
        [
            "worker",
            f"--concurrency={options.concurrency}",
            "--pool=threads",
            f"--hostname={name}",
            "--loglevel=INFO",
            # They make every worker talk to every other one, and nothing here needs it.
            "--without-gossip",
            "--without-mingle",
            *(["--task-events"] if options.events else []),
        ]
    )


def _look_at_redis(url: str) -> None:
    """End at once where Redis refuses us; one that is only away may come, and is waited for.

    Raises:
        RedisRefuses: it does.
    """
    with connection.connect(url) as client:
        client.set_retry(None)
        try:
            connection.check(client, url)
        except RedisRefuses:
            raise
        except InfrastructureError as exc:
            print(exc, file=sys.stderr)  # noqa: T201 (there are no logs yet)


if __name__ == "__main__":
    main()

"""Stops what the set-up started on this machine: what `make down` runs."""

import sys

from scripts import dockerd
from scripts.setup import INFRASTRUCTURE_EXIT_CODE, ROOT
from scripts.step import report


def main() -> int:
    """Stops our Docker daemon; one that the set-up found running is left alone.

    Returns:
        The exit code: 0, or 4 where it does not stop.
    """
    try:
        report("engine", lambda: dockerd.stop(dockerd.Dockerd(folder=ROOT / ".bursar")))
    except (dockerd.NoDaemonError, OSError) as error:
        print(error, file=sys.stderr)
        return INFRASTRUCTURE_EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m sandbox`: prints whether the sandbox holds on this host; exit code 1 where it does not."""

import sys

from sandbox.selfcheck import self_check


def main() -> int:
    """Runs the checks and prints them as a table."""
    checks = self_check()
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.detail}")  # noqa: T201
    return 0 if all(check.ok for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The documented rights of Redis' users: a key that is new must be thought of there, too."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from study import keys


@pytest.mark.parametrize("key", [*keys.PERMANENT, keys.claim("*", "*"), keys.worker("*")])
def test_a_worker_may_read_each_key(key: str, repository: Path) -> None:
    lines = (repository / "deploy" / "users.acl").read_text().splitlines()
    [worker] = [line for line in lines if line.startswith("user worker ")]
    patterns = [part.partition("~")[2] for part in worker.split() if "~" in part]
    assert any(fnmatchcase(key, pattern) for pattern in patterns), (
        f"deploy/users.acl gives workers no right to {key}; the tests with TLS show what they need"
    )

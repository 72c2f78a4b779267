"""Beside the empty database: a key that would live for ever fails the test that wrote it."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from study import connection, keys

# A machine that is busy with other things makes an example slow, not wrong.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def client(client: connection.Client) -> Iterator[connection.Client]:
    """The client of an empty database, which must leave no key behind that nobody will delete."""
    yield client
    leaked = [k for k in client.scan_iter() if client.ttl(k) < 0 and not keys.is_permanent(k)]
    assert not leaked, f"these keys live for ever, and are not in keys.PERMANENT: {leaked}"

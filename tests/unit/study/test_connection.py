"""The connection: where Redis is, in words that never show a password."""

import pytest

from study import connection
from study.errors import InfrastructureError


def test_a_redis_that_answers_is_fine(client: connection.Client, redis_url: str) -> None:
    connection.check(client, redis_url)


def test_what_is_no_redis_url_says_what_one_looks_like() -> None:
    for url in ("http://:secret@host", "", "host:6379", "redis://:secret@host:port/0"):
        with pytest.raises(InfrastructureError, match="redis://redis-host:6379/0") as caught:
            connection.connect(url)
        assert "secret" not in str(caught.value)


def test_a_redis_that_is_not_there_is_named_without_its_password() -> None:
    url = "redis://:secret@127.0.0.1:1/0"
    client = connection.connect(url)
    client.connection_pool.connection_kwargs["retry"] = connection.Retry(
        connection.ExponentialBackoff(), 0
    )
    with pytest.raises(InfrastructureError, match=r"redis://127\.0\.0\.1:1/0") as caught:
        connection.check(client, url)
    assert "secret" not in str(caught.value)


def test_the_broker_has_the_next_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BURSAR_BROKER_URL", raising=False)
    assert connection.broker_url("redis://:pw@host:6379/0") == "redis://:pw@host:6379/1"
    assert connection.broker_url("redis://host") == "redis://host/1"
    tls = connection.broker_url("rediss://host/4?x=1")
    assert tls == "rediss://host/5?x=1&ssl_cert_reqs=required"
    with pytest.raises(InfrastructureError, match="needs TCP"):
        connection.broker_url("unix:///tmp/redis.sock")
    monkeypatch.setenv("BURSAR_BROKER_URL", "redis://elsewhere/0")
    assert connection.broker_url("redis://host") == "redis://elsewhere/0"


def test_people_see_no_password() -> None:
    assert connection.shown("redis://me:secret@host:6379/0") == "redis://host:6379/0"

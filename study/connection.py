"""The connection to Redis: where it is, how it is opened, and which part of it is whose.

Database 0 (or the URL's own) holds the ledger and the results; the broker has the next one, so that
flushing its messages can't touch money.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from study import keys
from study.errors import InfrastructureError, RedisRefuses

Client = Any
"""A redis.Redis with decode_responses=True; what it answers then is str, which its types can't say."""

URL_VARIABLE: Final = "BURSAR_REDIS_URL"
SOCKET_TIMEOUT_S: Final = 30.0
"""Above the longest blocking read (`results.BLOCK_MS_MAX`), below a claim's life."""
RETRIES: Final = 6
"""With back-off up to 2 s: rides out a restart of Redis; every script is idempotent, so it may."""

PATIENT_RETRIES: Final = 64
"""About two minutes, with the same back-off: a restart that has much to load, or a change of machine."""


def connect(url: str) -> Client:
    """Open a client; nothing is sent before its first command.

    Raises:
        InfrastructureError: if the URL is not one of Redis.
    """
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",  # what is no UTF-8 is not ours, and is told by its form
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=5.0,
            health_check_interval=30,
            retry=Retry(ExponentialBackoff(cap=2.0, base=0.1), RETRIES),
            retry_on_error=[redis.BusyLoadingError],
            max_connections=1024,
        )
    except ValueError as exc:
        raise _no_url() from exc


@contextmanager
def patient(client: Client) -> Iterator[None]:
    """Let a client wait for a Redis that is away, as long as `PATIENT_RETRIES` take."""
    before = client.get_retry()
    client.set_retry(Retry(ExponentialBackoff(cap=2.0, base=0.1), PATIENT_RETRIES))
    try:
        yield
    finally:
        client.set_retry(before)


def check(client: Client, url: str) -> None:
    """Make sure that Redis answers, and lets us in.

    Raises:
        RedisRefuses: the password, the user's rights or the certificates are wrong.
        InfrastructureError: saying where it was looked for and what to do.
    """
    try:
        client.ping()
        client.exists(keys.studies())  # who may ping need not be let in
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as exc:
        raise RedisRefuses(
            f"Redis at {shown(url)} refuses us ({exc}). Mend user and password in {URL_VARIABLE}, or "
            "the user's rights (docs/cluster.md)"
        ) from exc
    except TypeError as exc:  # what stands behind the ? is handed to the connection
        raise _no_url() from exc
    except redis.RedisError as exc:
        if _of_tls(exc):
            raise RedisRefuses(
                f"no TLS connection to Redis at {shown(url)} ({_cause(exc)}). Mend the certificates: "
                f"{URL_VARIABLE}=rediss://...?ssl_ca_certs=/path/to/ca.pem names whom to trust"
            ) from exc
        raise InfrastructureError(
            f"Redis does not answer at {shown(url)} ({exc}). Start it, or mend {URL_VARIABLE}; "
            "left out, bursar starts its own"
        ) from exc


def broker_url(url: str) -> str:
    """The broker's URL: BURSAR_BROKER_URL, else the next database of the same Redis."""
    own = os.environ.get("BURSAR_BROKER_URL")
    if own:
        return _with_tls(own)
    parts = urlsplit(url)
    if parts.scheme == "unix" or parts.scheme == "redis+socket":
        raise InfrastructureError(f"{URL_VARIABLE} names a unix socket; the broker needs TCP")
    if not (parts.path.strip("/") or "0").isdecimal() or not parts.scheme.startswith("redis"):
        raise InfrastructureError(
            f"{URL_VARIABLE} is not a Redis URL with the number of a database. Write for example "
            "redis://redis-host:6379/0"
        )
    database = int(parts.path.strip("/") or 0)
    return _with_tls(urlunsplit(parts._replace(path=f"/{database + 1}")))


def _with_tls(url: str) -> str:
    """The URL such that Celery's transport uses TLS where it says rediss: it goes by its options."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query:
        return url
    options = [*filter(None, [parts.query]), "ssl_cert_reqs=required"]
    return urlunsplit(parts._replace(query="&".join(options)))


def _no_url() -> InfrastructureError:
    # The URL is not shown: it can't be told apart from its password.
    return InfrastructureError(
        f"{URL_VARIABLE} is not a Redis URL. Write for example redis://redis-host:6379/0, or "
        "rediss://redis-host:6379/0?ssl_ca_certs=/path/to/ca.pem; left out, bursar starts its own"
    )


def _of_tls(exc: BaseException) -> bool:
    """Whether what failed was TLS, or the reading of a certificate."""
    causes = (exc, exc.__cause__, exc.__context__)
    return any(isinstance(cause, ssl.SSLError | FileNotFoundError) for cause in causes)


def _cause(exc: BaseException) -> str:
    return str(exc.__cause__ or exc.__context__ or exc)


def shown(url: str) -> str:
    """A URL without its password, for people and logs."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"

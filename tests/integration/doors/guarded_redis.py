"""A real Redis as a careful operator runs it: TLS only, a user for each role, none without a password."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import free_port

PASSWORDS = {
    "coordinator": "canary-c:/?#@%-coordinator",
    "worker": "canary-worker-5d41402abc4b2a76",
    "flower": "canary-flower-7d793037a0760186",
}
ADMIN = "canary-admin-e4da3b7fbbce2345"


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """The server's address, its authority's certificate, and another authority's."""

    port: int
    folder: Path

    def url(self, user: str, *, password: str | None = None, options: str | None = None) -> str:
        """The URL of a role."""
        from urllib.parse import quote

        secret = quote(PASSWORDS[user] if password is None else password, safe="")
        query = f"?ssl_ca_certs={self.folder / 'ca.pem'}" if options is None else options
        return f"rediss://{user}:{secret}@127.0.0.1:{self.port}/0{query}"

    def admin(self) -> Any:
        """A client that may do all."""
        return redis.Redis(
            port=self.port,
            username="admin",
            password=ADMIN,
            ssl=True,
            ssl_ca_certs=str(self.folder / "ca.pem"),
            decode_responses=True,
        )

    @property
    def denied(self) -> list[dict[str, Any]]:
        """What the server refused for want of rights."""
        with self.admin() as client:
            found: list[dict[str, Any]] = client.acl_log()
        return found


@contextmanager
def guarded_redis(folder: Path, acl: str) -> Iterator[Guarded]:
    """Run it.

    Args:
        folder: for its data and certificates.
        acl: the users' file, with `ROLE_PASSWORD` where a password goes.
    """
    if os.environ.get("BURSAR_NO_REDIS_7") == "1":
        pytest.skip("needs a redis-server with TLS, and none could be had on this machine")
    server = shutil.which("redis-server")
    assert server, "there is no redis-server; `make setup-tests` installs it as root"
    for name in ("ca", "stranger"):
        certificate(folder, name)
    certificate(folder, "server", by="ca")
    for role, password in PASSWORDS.items():
        acl = acl.replace(f"{role.upper()}_PASSWORD", password)
    (folder / "users.acl").write_text(f"{acl}\nuser admin on >{ADMIN} allkeys allchannels +@all\n")
    (folder / "data").mkdir()
    guarded = Guarded(port=free_port(), folder=folder)
    command = [
        server, "--port", "0", "--tls-port", str(guarded.port), "--bind", "127.0.0.1",
        "--tls-cert-file", "server.pem", "--tls-key-file", "server.key",
        "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no",
        "--aclfile", str(folder / "users.acl"), "--acllog-max-len", "1000",
        "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction",
        "--appenddirname", "data",
    ]  # fmt: skip
    with (
        (folder / "redis.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(guarded, process)
            yield guarded
        finally:
            process.terminate()


def _wait_for(guarded: Guarded, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + 60
    with guarded.admin() as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                said = (guarded.folder / "redis.log").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < deadline_s, said
                time.sleep(0.05)
            else:
                return


def certificate(folder: Path, name: str, *, by: str | None = None) -> None:
    """An authority's own certificate, or one for 127.0.0.1 by an authority."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "30", "-subj", f"/CN={name}"]
    command += ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    if by is not None:
        command += ["-CA", f"{by}.pem", "-CAkey", f"{by}.key"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)

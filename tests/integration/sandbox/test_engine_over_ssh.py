"""An engine that ssh:// leads to: what a worker does there; a server of ours stands in for the other host."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import paramiko
import pytest

from sandbox.engine import DEFAULT_SOCKET

pytestmark = pytest.mark.docker

WORKER = """
from contextlib import closing
from sandbox import Limits, Program, open_sandbox, owner, reap
from sandbox.engine import connect

RIGHT = Program(source="def f(x): return x + 1", check="assert f(1) == 2")
WRONG = Program(source="def f(x): return x", check="assert f(1) == 2")
with closing(open_sandbox()) as sandbox, closing(connect()) as client:
    with sandbox.prepare(study="over-ssh", limits=Limits(), deadline_s=600) as box:
        print(*[result.verdict for result in box.run([RIGHT, WRONG])])
        mine = owner.labels("over-ssh", 0)[owner.OWNER]
        asked = {"label": f"{owner.OWNER}={mine}"}
        print(len(client.api.containers(filters=asked)))
    reap(client)
    print(len(client.api.containers(all=True, filters=asked)))
"""
SECONDS = 300


class Host(paramiko.ServerInterface):
    """Lets one key in, and gives it the engine's socket for `docker system dial-stdio`."""

    def __init__(self, key: paramiko.PKey, engine: str) -> None:
        self._key, self._engine = key, engine

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if key == self._key else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if command != b"docker system dial-stdio":
            return False
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(self._engine)
        for source, sink in ((channel, engine), (engine, channel)):
            threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()
        return True


def _pass_on(source: "socket.socket | paramiko.Channel", sink: "socket.socket | paramiko.Channel"):
    with suppress(EOFError, OSError, paramiko.SSHException):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(EOFError, OSError, paramiko.SSHException):
            end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a worker whose engine is on such a host, which its user has logged in to before."""
    url = os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
    if not url.startswith("unix://"):
        pytest.skip("the machine's engine has no socket here")
    host_key, user_key = (paramiko.ECDSAKey.generate() for _ in range(2))
    (tmp_path / ".ssh").mkdir(mode=0o700)
    user_key.write_private_key_file(str(tmp_path / ".ssh" / "id_ecdsa"))
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            with suppress(OSError, EOFError, paramiko.SSHException):
                while True:
                    transports.append(paramiko.Transport(listener.accept()[0]))
                    transports[-1].add_server_key(host_key)
                    transports[-1].start_server(server=Host(user_key, url.removeprefix("unix://")))

        threading.Thread(target=serve, daemon=True).start()
        known = f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}\n"
        (tmp_path / ".ssh" / "known_hosts").write_text(known)
        yield {
            **os.environ,
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "DOCKER_HOST": f"ssh://somebody@127.0.0.1:{port}",
        }
        for transport in transports:
            transport.close()
        listener.shutdown(socket.SHUT_RDWR)


def test_programs_are_judged_there_and_nothing_is_left(
    worker: dict[str, str], repository: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        env={**worker, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stdout.split() == ["pass", "fail:AssertionError", "1", "0"], done.stderr[-2000:]

"""The way to the container engine: the one place where its errors become ours."""

import datetime
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import docker
import docker.utils
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from sandbox.errors import SandboxError, UnusableSetting

API_TIMEOUT_S = 60
"""For one call to the engine; a hung daemon is a fault after that."""
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
CONNECTIONS = 64
"""Kept open to the engine: more than a worker has threads."""
ZERO = datetime.timedelta()


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turns whatever goes wrong between us and the engine into a `SandboxError`."""
    try:
        yield
    except ImageNotFound as exc:
        remedy = "Build it with `sandbox.build_image`, or name another in [sandbox] image."
        raise SandboxError(f"{doing}: the image is missing ({_words(exc)})", remedy) from exc
    except NotFound as exc:
        raise SandboxError(f"{doing}: it is gone ({_words(exc)})") from exc
    except (DockerException, OSError) as exc:  # requests' errors are OSErrors
        remedy = (
            "Is the engine running, and may this user use it? See DOCKER_HOST and `docker info`."
        )
        raise SandboxError(f"{doing}: {_words(exc)}", remedy) from exc


def _words(exc: BaseException) -> str:
    return str(getattr(exc, "explanation", None) or exc or type(exc).__name__)


def connect() -> docker.DockerClient:
    """Returns a client of the engine that the environment names (DOCKER_HOST).

    Raises:
        SandboxError: no engine answers there.
    """
    with engine_errors("no container engine can be reached"):
        _knock()
        options = docker.utils.kwargs_from_env()
        if "tls" not in options:
            return _client(version="auto", **options)
        # An engine's certificate is its own authority's. By itself, requests would rather believe a
        # REQUESTS_CA_BUNDLE of the environment, and docker-py asks for the version as it is made.
        with closing(_client(version=MINIMUM_DOCKER_API_VERSION, **options)) as first:
            first.api.trust_env = False
            version = first.api.version(api_version=False)["ApiVersion"]
        client = _client(version=version, **options)
        client.api.trust_env = False
        return client


def _client(**options: Any) -> docker.DockerClient:
    return docker.DockerClient(timeout=API_TIMEOUT_S, max_pool_size=CONNECTIONS, **options)


def expect_runtime(client: docker.DockerClient, runtime: str | None) -> None:
    """Makes sure that the engine knows a runtime; its default (None) it always does.

    Raises:
        UnusableSetting: it does not.
        SandboxError: it can't be asked.
    """
    if runtime is None:
        return
    with engine_errors("cannot ask the engine for its runtimes"):
        known = sorted(client.info().get("Runtimes") or {})
    if runtime not in known:
        raise UnusableSetting(
            {"runtime": runtime},
            f"the engine has no runtime {runtime!r}, only {', '.join(known) or 'its default'}",
            "Install it and register it in the engine's daemon.json, or leave [sandbox] runtime out.",
        )


def expect_image(client: docker.DockerClient, image: str) -> None:
    """Makes sure that the engine has an image of the user's own; it is never fetched from a registry.

    Raises:
        UnusableSetting: it does not, or that is no name of an image.
        SandboxError: it can't be asked.
    """
    remedy = "Pull or build it on every worker's engine, or leave [sandbox] image out."
    with engine_errors("cannot look for the image"):
        try:
            client.api.inspect_image(image)
        except ImageNotFound as exc:
            problem = "the engine has no such image"
            raise UnusableSetting({"image": image}, problem, remedy) from exc
        except APIError as exc:
            if not exc.is_client_error():
                raise
            problem = f"the engine takes it for no image's name ({_words(exc)})"
            raise UnusableSetting({"image": image}, problem, remedy) from exc
        except docker.errors.NullResource as exc:
            raise UnusableSetting({"image": image}, "it is no name", remedy) from exc


def engine_time_s(client: docker.DockerClient) -> float:
    """The engine's clock, to the second, as unix time; on another machine it may differ from ours."""
    text = str(client.api.info()["SystemTime"])
    moment = datetime.datetime.fromisoformat(text[:19])  # nanoseconds not every Python reads
    offset = text[19:].lstrip(".0123456789")
    if offset not in ("", "Z"):
        moment -= (
            datetime.datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").utcoffset() or ZERO
        )
    return moment.replace(tzinfo=datetime.UTC).timestamp()


def _knock() -> None:
    """Tries the engine's socket itself: docker-py leaves one open where nobody answers."""
    address = os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(address.removeprefix("unix://"))

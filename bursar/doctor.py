"""The doctor's checks: whether this machine has what a study needs; each says what it found."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import redis

from bursar.cluster import Cluster, reach
from bursar.home import Home
from study import connection, fleet
from study.errors import InfrastructureError

PYTHON_MIN: Final = (3, 11)
PACKAGES: Final = (
    "celery", "kombu", "redis", "openai", "docker", "scikit-optimize", "datasets", "genai-prices",
)  # fmt: skip
KEY_VARIABLES: Final = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Args:
        check: its name.
        ok: whether all is well.
        essential: whether a study needs it.
        detail: what was found, and what to do where it is not well.
    """

    check: str
    ok: bool
    essential: bool = True
    detail: str


def examine(home: Home) -> Iterator[Finding]:
    """Check this machine, from the ground up; each finding comes as it is made."""
    yield _python()
    yield from _packages()
    yield _key()
    try:
        with reach(home) as cluster:
            yield from _redis(cluster)
            yield _workers(cluster)
    except InfrastructureError as exc:
        yield Finding(check="redis", ok=False, detail=str(exc))
    yield from _sandbox()


def _python() -> Finding:
    ok = sys.version_info >= PYTHON_MIN
    return Finding(check="python", ok=ok, detail=f"{platform.python_version()} ({sys.executable})")


def _packages() -> Iterator[Finding]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    detail = ", ".join(found)
    if missing:
        detail = "missing: " + ", ".join(missing) + ". Install them: pip install 'bursar[all]'"
    yield Finding(check="packages", ok=not missing, detail=detail)


def _key() -> Finding:
    present = [name for name in KEY_VARIABLES if os.environ.get(name, "").strip()]
    detail = "set: " + ", ".join(present) if present else "no OPENAI_API_KEY: only rehearsals"
    return Finding(check="key", ok=bool(present), essential=False, detail=detail)


def _redis(cluster: Cluster) -> Iterator[Finding]:
    info = cluster.client.info()
    where = "this folder's own" if cluster.is_local else connection.shown(cluster.url)
    yield Finding(check="redis", ok=True, detail=f"{info['redis_version']}, {where}")
    durable = bool(info.get("aof_enabled"))
    yield Finding(
        check="redis durable",
        ok=durable,
        essential=False,
        detail="append-only file"
        if durable
        else "no append-only file: a restart loses the "
        "ledger. Set appendonly yes, appendfsync always",
    )
    policy = str(info.get("maxmemory_policy") or _setting(cluster.client, "maxmemory-policy"))
    yield Finding(
        check="redis keeps",
        ok=policy == "noeviction",
        essential=policy != "unknown",
        detail=f"maxmemory-policy {policy}"
        + ("" if policy == "noeviction" else ": Redis may throw the ledger away. Set noeviction"),
    )


def _setting(client: Any, name: str) -> str:
    try:
        return str(client.config_get(name).get(name, "unknown"))
    except redis.ResponseError:  # a managed Redis that does not tell
        return "unknown"


def _workers(cluster: Cluster) -> Finding:
    alive = fleet.workers(cluster.client)
    if cluster.is_local and not alive:
        return Finding(check="workers", ok=True, detail="started with each study, on this machine")
    slots = sum(worker.slots for worker in alive)
    detail = f"{len(alive)} with {slots} slots: " + ", ".join(worker.name for worker in alive)
    if not alive:
        detail = "none is there. Start some: python -m workers"
    return Finding(check="workers", ok=bool(alive), detail=detail)


def _sandbox() -> Iterator[Finding]:
    from sandbox import self_check  # takes a moment, for the engine's client

    for check in self_check():
        yield Finding(check=f"sandbox: {check.name}", ok=check.ok, detail=check.detail)

"""Throwaway containers on a Docker engine: the sandbox for programs that nobody vouches for."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig

from sandbox import owner
from sandbox.channel import AttachedStream, RunnerChannel, runner_command
from sandbox.contract import SandboxBox
from sandbox.engine import engine_errors, engine_time_s
from sandbox.errors import OutOfMemory, SandboxError
from sandbox.limits import Limits
from sandbox.program import Program, RunResult

FIRST_UID = 40_000
"""Programs get the uids from here on, one each: above the accounts of most hosts, and within the
65,536 that a rootless engine has."""
SCRATCH = "/tmp"  # noqa: S108 - the container's own, and nobody else's
STARTS_AT_ONCE = 4
"""Engines start containers one after the other anyhow; more would only crowd the machine."""
RUNNER_CAPABILITIES = ["CHOWN", "KILL", "SETGID", "SETUID"]
"""What the runner does as root: give a program its folder and uid, end it, take its files back."""
NO_SHARED_MEMORY = {
    "kernel.shmmni": "0",
    "kernel.msgmni": "0",
    "kernel.sem": "0 0 0 0",
    "fs.mqueue.queues_max": "0",
}
"""System V and POSIX objects outlive the process that made them: there are none."""

EVENTS_BACK_S = 3600
"""How far back the reason for a container's end is looked for."""
LAST_WORDS_S = 5
"""How long that reason is waited for, where a container has ended and the engine does not know it yet."""
DEADLINE_EXIT = "75"
"""The exit code of a runner that has reached its deadline."""
KILLED_EXIT = "137"
"""The exit code of a runner that was killed."""

_log = logging.getLogger(__name__)


class DockerSandbox:
    """Makes one throwaway container per box, ahead of its use.

    Args:
        client: of the engine; the sandbox closes it when it is closed.
        image: an image with `python3` (3.10 or later) on its path; see `build_image`.
        runtime: the engine's runtime, such as "runsc" (gVisor); its default if left out.
        rebuild: makes the image anew where somebody has removed it, and returns its name; without
            it a missing image is an error.
    """

    def __init__(
        self,
        *,
        client: docker.DockerClient,
        image: str,
        runtime: str | None = None,
        rebuild: Callable[[], str] | None = None,
    ) -> None:
        self._client, self._image, self._runtime = client, image, runtime
        self._rebuild = rebuild
        self._starts = ThreadPoolExecutor(STARTS_AT_ONCE, thread_name_prefix="sandbox-start")
        self._boxes: set[DockerBox] = set()
        self._lock = threading.Lock()
        self._ahead_s: float | None = None  # the engine's clock, of ours

    def prepare(self, *, study: str, limits: Limits, deadline_s: float) -> "DockerBox":
        """Begins to start a container; see `Sandbox.prepare`."""
        name = owner.hold()

        def start() -> tuple[str, RunnerChannel]:
            try:
                return self._start(name, study, limits, deadline_s)
            except BaseException:
                owner.release(name)
                raise

        box = DockerBox(self._client, name, self._starts.submit(start), self._forget)
        with self._lock:
            self._boxes.add(box)
        return box

    def close(self) -> None:
        """Closes the boxes that are still open."""
        with self._lock:
            boxes = list(self._boxes)
        for box in boxes:
            box.close()
        self._starts.shutdown()
        self._client.close()

    def _forget(self, box: "DockerBox") -> None:
        with self._lock:
            self._boxes.discard(box)

    def _start(
        self, name: str, study: str, limits: Limits, deadline_s: float
    ) -> tuple[str, RunnerChannel]:
        api = self._client.api
        with engine_errors("cannot start a container"):
            labels = owner.labels(study, deadline_s, box=name, now_s=self._engine_time_s())
            try:
                container = self._created(labels, limits, deadline_s)
            except ImageNotFound:
                if self._rebuild is None:
                    raise
                _log.warning("the image %s was removed: it is built again", self._image)
                self._image = self._rebuild()
                container = self._created(labels, limits, deadline_s)
            try:
                streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
                attached = api.attach_socket(container, params=streams)
                channel = RunnerChannel(AttachedStream(attached), limits)
                try:
                    api.start(container)
                    channel.expect_ready()
                except BaseException:
                    channel.close()
                    raise
            except BaseException:
                _remove(self._client, container)
                raise
        return container, channel

    def _engine_time_s(self) -> float:
        if self._ahead_s is None:
            self._ahead_s = engine_time_s(self._client) - time.time()
        return time.time() + self._ahead_s

    def _created(self, labels: dict[str, str], limits: Limits, deadline_s: float) -> str:
        """Creates a container that has not started yet."""
        created: str = self._client.api.create_container(
            self._image,
            entrypoint=["python3"],
            command=runner_command(
                limits, deadline_s=deadline_s, scratch=SCRATCH, first_uid=FIRST_UID
            ),
            hostname="sandbox",
            user="0:0",
            working_dir="/",
            stdin_open=True,  # and closed with our connection: if we die, the runner ends
            network_disabled=True,
            labels=labels,
            host_config=self._client.api.create_host_config(**self._walls(limits)),
        )["Id"]
        return created

    def _walls(self, limits: Limits) -> dict[str, Any]:
        """What the engine holds a container to; what it holds a single program to is the runner's."""
        memory = f"{limits.container_mb}m"
        scratch = f"rw,nosuid,nodev,noexec,mode=1777,size={limits.scratch_mb}m"
        return {
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {SCRATCH: f"{scratch},nr_inodes={limits.scratch_files}"},
            "ipc_mode": "none",  # no /dev/shm
            "sysctls": NO_SHARED_MEMORY,
            "mem_limit": memory,
            "memswap_limit": memory,  # memory and swap together: no swap
            "pids_limit": limits.pids
            + 4,  # the runner, its steward, the child that waits, its judge
            "nano_cpus": int(limits.cpus * 1e9),
            "cap_drop": ["ALL"],
            "cap_add": RUNNER_CAPABILITIES,
            "security_opt": ["no-new-privileges:true"],
            "log_config": LogConfig(type="none"),  # nothing of a program reaches the host's disk
            "auto_remove": True,
            "runtime": self._runtime,
        }


class DockerBox(SandboxBox):
    """One container. Used by one thread at a time."""

    def __init__(
        self,
        client: docker.DockerClient,
        name: str,
        start: "Future[tuple[str, RunnerChannel]]",
        forget: Callable[["DockerBox"], None],
    ) -> None:
        self._client, self._name, self._start, self._forget = client, name, start, forget
        self._closed = False

    def run(self, programs: Sequence[Program]) -> list[RunResult]:
        """Runs each program by itself, in order; see `SandboxBox.run`."""
        if self._closed:
            raise SandboxError("the box is closed", "Prepare another.")
        container, channel = self._start.result()
        try:
            return channel.run(programs)
        except SandboxError as error:
            end = _last_words(self._client, container)
            if end is None:
                raise
            kind, words = end
            raise kind(f"{error.cause}; {words}", error.remedy) from error

    def close(self) -> None:
        """Removes the container, whether or not it has started yet."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._start.cancel() and self._start.exception() is None:
                container, channel = self._start.result()
                _remove(self._client, container)
                channel.close()
        finally:
            owner.release(self._name)
            self._forget(self)


def _remove(client: docker.DockerClient, container: str) -> None:
    """Removes a container; one that is gone, or going, is as good as removed."""
    try:
        client.api.remove_container(container, force=True, v=True)
    except NotFound:
        pass
    except (DockerException, OSError) as exc:
        if isinstance(exc, APIError) and exc.status_code == 409:  # "already in progress"
            return
        _log.warning("container %s is left to the reaper: %s", container[:12], exc)


def _last_words(
    client: docker.DockerClient, container: str
) -> tuple[type[SandboxError], str] | None:
    """Why a container has ended, from the engine's recent events; None if it has not."""
    events: list[dict[str, Any]] = []
    try:
        for event in _events(client, container):
            events.append(event)
            actions = {each["Action"] for each in events}
            if "die" in actions and (_exit_code(events) != KILLED_EXIT or "oom" in actions):
                break
    except (DockerException, OSError, ValueError):
        return None
    code = _exit_code(events)
    if code is None:
        return None
    if code == DEADLINE_EXIT:
        return SandboxError, "the container had reached its deadline"
    if any(event["Action"] == "oom" for event in events):
        return OutOfMemory, f"the container as a whole ran out of memory (exit code {code})"
    return SandboxError, f"the container ended with exit code {code}"


def _events(client: docker.DockerClient, container: str) -> Iterator[dict[str, Any]]:
    """What became of a container; the end may not be known yet, and "oom" may come behind "die"."""
    api, now_s = client.api, int(engine_time_s(client))
    asked = {
        "since": now_s - EVENTS_BACK_S,
        "until": now_s + LAST_WORDS_S,
        "filters": json.dumps({"container": [container], "event": ["oom", "die"]}),
    }
    url = f"{api.base_url}/v{api.api_version}/events"
    # docker-py's own `events` waits for a hung daemon for ever.
    with api.get(url, params=asked, stream=True, timeout=api.timeout) as response:
        for line in response.iter_lines(chunk_size=1):
            yield json.loads(line)


def _exit_code(events: Sequence[dict[str, Any]]) -> str | None:
    """What a container ended with, from its events; None if it has not."""
    ends = (event for event in events if event["Action"] == "die")
    return next((str(end["Actor"]["Attributes"].get("exitCode")) for end in ends), None)

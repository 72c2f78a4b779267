"""Whether a worker may run programs on this host: the promises are tried once for each boot.

Apart from the checks themselves, because every worker asks this as it starts, and again for a study that
brings an image, a runtime or packages of its own: that all is well is kept in a file, until the
image, the engine, its runtime or the boot is another.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path

from sandbox.engine import connect, engine_errors, expect_image, expect_runtime
from sandbox.errors import SandboxError, UnusableSetting
from sandbox.image import build_image
from sandbox.selfcheck import PROMISES, Check, self_check

BOOT = Path("/proc/sys/kernel/random/boot_id")


class UnfitHost(SandboxError):
    """This host breaks a promise of the sandbox, so no program may be run on it."""

    def __init__(self, check: Check) -> None:
        super().__init__(
            f"this host fails the self-check {check.name!r} ({check.detail})",
            "No program is run here until it holds: `python -m sandbox` tries all of them. See what "
            "is set on the engine (its seccomp profile, cgroups, runtime, user namespaces).",
        )


def expect_fit(
    *,
    runtime: str | None = None,
    image: str | None = None,
    packages: Sequence[str] = (),
    checks: Callable[[], list[Check]] | None = None,
    folder: Path | None = None,
) -> None:
    """Makes sure, once for each boot, that this host keeps the sandbox's promises.

    Where there is no engine, or it has no image and can't be given one, nothing is said: that is a
    fault, which may pass, and each evaluation finds it out for itself.

    Args:
        runtime: as for `open_sandbox`.
        image: as for `open_sandbox`.
        packages: as for `open_sandbox`.
        checks: tries the promises; on the engine, if left out.
        folder: where it is kept that all is well; a folder for temporary files if left out.

    Raises:
        UnfitHost: one was broken, twice in a row.
        UnusableSetting: so it was with a runtime, image or packages of one's own, or these can't be had.
    """
    asked = {"runtime": runtime, "image": image, "packages": list(packages)}
    settings = {name: value for name, value in asked.items() if value}
    if checks is None:
        checks = partial(self_check, runtime=runtime, image=image, packages=packages)
    try:
        name = _name(runtime, image, packages)
    except UnusableSetting:
        raise
    except SandboxError:
        return
    try:
        folder = folder or _own_folder()
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of many workers that start here, one tries
            fit = folder / f"{name}.fit"
            if fit.exists():
                return
            _try_twice(checks, settings)
            fit.touch()
    except OSError:  # there is nowhere to keep it
        _try_twice(checks, settings)


def _try_twice(checks: Callable[[], list[Check]], settings: Mapping[str, object]) -> None:
    broken = _broken(checks())
    if not broken:
        return
    again = _broken(checks())
    for name in broken:
        if name in again:
            raise _refusal(again[name], settings)


def _refusal(check: Check, settings: Mapping[str, object]) -> SandboxError:
    if not settings:
        return UnfitHost(check)
    return UnusableSetting(
        settings,
        f"the self-check {check.name!r} fails with it ({check.detail})",
        "Programs are run only where each holds: mend or change it, or leave it out of [sandbox]. An "
        "image needs python3 (3.10 or later) on its path.",
    )


def _broken(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks if check.name in PROMISES and not check.ok}


def _own_folder() -> Path:
    """A folder that is this user's alone, so that nobody else says that all is well."""
    folder = Path(tempfile.gettempdir(), f"bursar-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o7777 != 0o700 or folder.is_symlink():
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


def _name(runtime: str | None, image: str | None, packages: Sequence[str]) -> str:
    """A name for all that the verdict depends on."""
    with closing(connect()) as client:
        expect_runtime(client, runtime)
        if image:
            expect_image(client, image)
        else:
            image = build_image(client, packages)
        with engine_errors("cannot ask the engine what it is"):
            made = client.api.inspect_image(image)["Id"]
            version = client.version()
            runtime = runtime or client.info().get("DefaultRuntime")
    parts = sorted((part["Name"], part["Version"]) for part in version.get("Components") or ())
    boot = BOOT.read_text(encoding="ascii") if BOOT.exists() else ""
    whole = [made, version.get("Version"), parts, runtime, os.environ.get("DOCKER_HOST"), boot]
    return "self-checks-" + sha256(json.dumps(whole).encode()).hexdigest()[:16]

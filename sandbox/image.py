"""Builds the sandbox's image out of the Python that runs here: no registry, no base image."""

import fcntl
import hashlib
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
from docker.errors import ImageNotFound

from sandbox.engine import engine_errors
from sandbox.errors import SandboxError, UnusableSetting

REPOSITORY = "bursar-sandbox"
COMMAND_TIMEOUT_S = 600
"""For `ldd` and `pip install`."""
PACKAGES_REMEDY = (
    "Mend the names in [sandbox] packages: each must have a wheel for this machine and this Python."
)
LEFT_OUT = {
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
}
"""Folders of the standard library that no program needs: it cannot open windows or install things."""
LEFT_OUT_MODULES = ("_tkinter", "_test", "_ctypes_test", "_xxtest", "xxlimited")
LEFT_OUT_ENDINGS = (".a", ".opt-1.pyc", ".opt-2.pyc")
LAYOUT = 2
"""Counted up when the tree changes in what its files don't show."""
HOME = "usr/local"
EMPTY_FOLDERS = ("dev", "etc", "proc", "sys", "tmp", "lib", "usr/bin", f"{HOME}/bin")
ACCOUNTS = "root:x:0:0::/:/\nnobody:x:65534:65534::/:/\n"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of the image: where it goes, and where it comes from (or its own text)."""

    name: str
    origin: Path | None = None
    text: str = ""
    link: str | None = None
    executable: bool = False


def build_image(client: docker.DockerClient, packages: Sequence[str] = ()) -> str:
    """Builds the image for this interpreter, if the engine does not have it yet.

    Args:
        client: of the engine that gets the image.
        packages: what the programs may import beyond the standard library, as pip requirements;
            installed from wheels only, so that nothing of theirs is run here.

    Returns:
        The image's name, which is made of its contents: equal contents, equal name, built once.

    Raises:
        UnusableSetting: the packages cannot be installed.
        SandboxError: the interpreter's files cannot be gathered, or the engine does not take them.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="bursar-image-") as work, _one_at_a_time():
            entries = list(_interpreter())
            name = f"{REPOSITORY}:{_digest(entries, packages)}"
            if not _has(client, name):
                if packages:
                    entries += _installed(packages, Path(work))
                _import(client, name, entries)
    except OSError as exc:
        raise SandboxError(f"cannot gather the interpreter's files: {exc}") from exc
    return name


def put_into(client: docker.DockerClient, name: str) -> None:
    """Builds the image for this interpreter under a name of one's own, whether or not there is one."""
    _import(client, name, list(_interpreter()))


def _has(client: docker.DockerClient, name: str) -> bool:
    with engine_errors("cannot look for the image"):
        try:
            client.api.inspect_image(name)
        except ImageNotFound:
            return False
        return True


def _import(client: docker.DockerClient, name: str, entries: Sequence[Entry]) -> None:
    repository, tag = name.split(":")
    with tempfile.TemporaryFile() as file:
        _write_tar(file, entries)
        file.seek(0)
        with engine_errors("cannot import the image"):
            said = client.api.import_image(src=file, repository=repository, tag=tag)
    if not _has(client, name):
        raise SandboxError(f"the engine did not take the image: {said[-300:]}")


def _interpreter() -> Iterator[Entry]:
    """The executable, the standard library, and the shared libraries of both."""
    executable = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(os.__file__).resolve().parent
    home = f"{HOME}/lib/{version}"
    yield Entry(name=f"{HOME}/bin/python3", origin=executable, executable=True)
    native = [executable]
    for entry in _library(library, home):
        if entry.name.endswith(".so") and entry.origin:
            native.append(entry.origin)
        yield entry
    dynload = Path(sysconfig.get_config_var("DESTSHARED") or library / "lib-dynload")
    if dynload.is_dir() and library not in dynload.resolve().parents:
        for entry in _library(dynload, f"{home}/lib-dynload"):
            native += [entry.origin] if entry.origin else []
            yield entry
    yield from _shared_libraries(native)
    # A program finds wheels under either name: Debian's Python looks in dist-packages.
    yield Entry(name=f"{home}/dist-packages", link="site-packages")
    yield Entry(name="lib64", link="lib")  # the loader looks in one or the other
    yield Entry(name="etc/passwd", text=ACCOUNTS)


def _library(folder: Path, home: str) -> Iterator[Entry]:
    """A folder of the standard library, less what no program needs."""
    for at, folders, files in os.walk(folder):
        kept = (name for name in folders if name not in LEFT_OUT and not name.startswith("config-"))
        folders[:] = sorted(kept)
        for name in sorted(files):
            path = Path(at, name)
            left_out = name.startswith(LEFT_OUT_MODULES) or name.endswith(LEFT_OUT_ENDINGS)
            if path.is_file() and not left_out:
                yield Entry(name=f"{home}/{path.relative_to(folder)}", origin=path)


def _shared_libraries(native: Sequence[Path]) -> Iterator[Entry]:
    """What `ldd` names, the loader among it; all in /lib, where every loader looks."""
    failing = "cannot find Python's shared libraries"
    done = _command(["ldd", *map(str, native)], failing)
    if done.returncode and not done.stdout:
        raise SandboxError(f"{failing}: {done.stderr.strip()[-500:]}")
    found: dict[str, Path] = {}
    for line in done.stdout.splitlines():
        words = line.split("=>")[-1].split()
        if line[:1].isspace() and words and words[0].startswith("/"):
            found[Path(line.split()[0]).name] = Path(words[0]).resolve()
    unwinder = next(iter(found.values()), Path("/")).parent / "libgcc_s.so.1"
    if unwinder.exists():  # opened by name when a thread is cancelled
        found.setdefault(unwinder.name, unwinder.resolve())
    for name, path in sorted(found.items()):
        yield Entry(name=f"lib/{name}", origin=path, executable=True)


def _installed(packages: Sequence[str], work: Path) -> list[Entry]:
    """The wheels, unpacked, with the system's libraries that they need."""
    target = work / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--only-binary=:all:", "--no-warn-script-location", "--target", str(target)]
    failing = f"cannot install [sandbox] packages {', '.join(packages)}"
    done = _command([*install, *options, "--", *packages], failing)
    if done.returncode:
        said = f"{failing}: {done.stderr.strip()[-500:]}"
        raise UnusableSetting({"packages": list(packages)}, said, PACKAGES_REMEDY)
    home = f"{HOME}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    entries = []
    for at, _, files in os.walk(target):
        for name in sorted(files):
            path = Path(at, name)
            entries.append(Entry(name=f"{home}/{path.relative_to(target)}", origin=path))
    native = [e.origin for e in entries if e.origin and ".so" in e.origin.suffixes]
    return entries + (list(_shared_libraries(native)) if native else [])


def _command(arguments: Sequence[str], failing: str) -> subprocess.CompletedProcess[str]:
    """Runs a command; what it ended with is the caller's to judge."""
    try:
        return subprocess.run(  # noqa: S603 - our own command line
            arguments, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as exc:  # ValueError: a nul in a name
        raise SandboxError(f"{failing}: {exc}") from exc


def _digest(entries: Sequence[Entry], packages: Sequence[str]) -> str:
    """A name for the contents; of the packages it knows what was asked for, not what came."""
    digest = hashlib.sha256(repr((LAYOUT, sorted(packages))).encode())
    for entry in entries:
        digest.update(f"\0{entry.name}\0{entry.text}\0{entry.link}\0".encode())
        if entry.origin and not entry.name.endswith(".pyc"):  # a cache of what is counted already
            digest.update(entry.origin.read_bytes())
    return digest.hexdigest()[:16]


def _write_tar(file: IO[bytes], entries: Sequence[Entry]) -> None:
    """Writes the tree: root's, readable by all, writable by none but root."""
    folders = {str(above) for entry in entries for above in Path(entry.name).parents}
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in sorted((folders | set(EMPTY_FOLDERS)) - {"."}):
            info = tarfile.TarInfo(name)
            # Docker gives a tmpfs the mode of the folder that it covers.
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        written: set[str] = set()
        for entry in entries:
            if entry.name in written:
                continue
            written.add(entry.name)
            info = tarfile.TarInfo(entry.name)
            info.mode = 0o755 if entry.executable else 0o644
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
                tar.addfile(info)
                continue
            text = entry.origin.read_bytes() if entry.origin else entry.text.encode()
            info.size = len(text)
            # A .pyc names its source's time: with another one Python would compile it again.
            info.mtime = int(entry.origin.stat().st_mtime) if entry.origin else 0
            tar.addfile(info, io.BytesIO(text))


class _one_at_a_time:  # noqa: N801 - reads as a verb's adverb
    """Keeps two workers of a host from building the same image at once."""

    def __enter__(self) -> None:
        path = Path(tempfile.gettempdir(), f"bursar-image-{os.getuid()}.lock")
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()

"""What one program may use: every limit with its name and its reason."""

from dataclasses import dataclass, fields

RUNNER_MB = 64
"""Memory of the container beyond the program's own: the warm runner, page tables, pipes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits on each program of a box; a new container is made for other limits.

    Attributes:
        timeout_s: time for source and check. The clock stops while the program waits for a CPU,
            so that a busy machine does not turn right answers into timeouts.
        memory_mb: writable memory of each process (RLIMIT_DATA: over it is a MemoryError). All its
            processes and files together get as much again as scratch and runner need (cgroup:
            over it the kernel kills the program); there is no swap.
        pids: processes and threads at once, against fork bombs.
        cpus: CPU time per second, so that one program cannot starve the host.
        open_files: descriptors of a process; each may hold kernel memory.
        file_mb: the largest file it may write.
        scratch_mb: all its files together; they lie in memory.
        scratch_files: how many files and folders; each costs kernel memory.
        program_kb: the text of source and check together; a longer one fails unrun.
        detail_chars: what is kept of its exception's message.

    Raises:
        ValueError: naming the field that is not a positive number in its bounds.
    """

    timeout_s: float = 3.0
    memory_mb: int = 256
    pids: int = 32
    cpus: float = 1.0
    open_files: int = 64
    file_mb: int = 8
    scratch_mb: int = 16
    scratch_files: int = 1024
    program_kb: int = 1024
    detail_chars: int = 300

    def __post_init__(self) -> None:
        """Checks every field, and names the one that is wrong."""
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if isinstance(field.default, float) else (int,)
            low, high = _BOUNDS.get(field.name, (1, 1_000_000))
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                kind = "a number" if float in kinds else "a whole number"
                raise ValueError(f"{field.name} must be {kind} from {low} to {high}, not {value!r}")

    @property
    def container_mb(self) -> int:
        """Memory of the whole container in MiB."""
        return self.memory_mb + self.scratch_mb + RUNNER_MB


_BOUNDS: dict[str, tuple[float, float]] = {
    "timeout_s": (0.05, 3600),
    "memory_mb": (32, 1_000_000),  # the warm interpreter alone takes about 20
    "cpus": (0.1, 1024),
    "open_files": (16, 65536),  # an import alone opens a few
    "program_kb": (1, 16384),
    "detail_chars": (0, 10_000),
}

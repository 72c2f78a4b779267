"""Runs programs that nobody vouches for, each in a throwaway box, and says how they ended."""

from sandbox.containers import DockerSandbox
from sandbox.contract import Sandbox, SandboxBox
from sandbox.errors import OutOfMemory, SandboxError, UnusableSetting
from sandbox.image import build_image
from sandbox.limits import Limits
from sandbox.opening import open_sandbox
from sandbox.processes import ProcessSandbox
from sandbox.program import Exchange, Outcome, Program, RunResult
from sandbox.reaper import reap
from sandbox.selfcheck import Check, self_check

__all__ = [
    "Check",
    "DockerSandbox",
    "Exchange",
    "Limits",
    "OutOfMemory",
    "Outcome",
    "ProcessSandbox",
    "Program",
    "RunResult",
    "Sandbox",
    "SandboxBox",
    "SandboxError",
    "UnusableSetting",
    "build_image",
    "open_sandbox",
    "reap",
    "self_check",
]

"""Lua scripts, loaded from `lua/` once, so that each is a file with a header and its own verb."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from redis.commands.core import Script

from study.connection import Client

_FOLDER = Path(__file__).parent / "lua"


@lru_cache(maxsize=32)
def source(verb: str) -> str:
    """The text of a script."""
    return (_FOLDER / f"{verb}.lua").read_text(encoding="utf-8")


def load(redis: Client, verb: str) -> Script:
    """A callable script; it is sent to Redis again by itself when Redis has lost it."""
    script: Script = redis.register_script(source(verb))
    return script


def queue(pipe: Client, verb: str, names: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Run a script among the commands of a pipeline, or alone.

    Its text is sent along: a pipeline that names scripts asks first which of them Redis has, and one that
    Redis has lost would fail while the commands behind it run.
    """
    return pipe.eval(source(verb), len(names), *names, *arguments)

"""Lua scripts, each read from `lua/` once, so that each is a file with a header and its own verb."""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from study.connection import Client

_FOLDER = Path(__file__).parent / "lua"

Script = Callable[[Sequence[str], Sequence[Any]], Any]
"""Runs with its keys and its arguments, and gives its answer."""


@lru_cache(maxsize=64)
def source(verb: str) -> str:
    """The text of a script."""
    return (_FOLDER / f"{verb}.lua").read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def _sha(text: str) -> str:
    """How Redis calls a script that it has."""
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 (Redis' way)


def load(redis: Client, verb: str) -> Script:
    """A callable script; its text is sent to Redis by itself where Redis has it not."""

    def run(names: Sequence[str], arguments: Sequence[Any]) -> Any:
        try:
            return redis.evalsha(_sha(source(verb)), len(names), *names, *arguments)
        except NoScriptError:
            return queue(redis, verb, names, arguments)

    return run


def queue(pipe: Client, verb: str, names: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Run a script among the commands of a pipeline, or alone.

    Its text is sent along: where Redis has lost a script, the commands behind it would run without it.
    """
    return pipe.eval(source(verb), len(names), *names, *arguments)

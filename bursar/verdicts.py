"""Verdicts: whether answers pass a problem's tests, run in the sandbox from this process, each once."""

import atexit
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from study.metrics import expected_success, pass_rate, success

if TYPE_CHECKING:  # `import bursar` should not wait for the engine's client
    from sandbox import Sandbox

VERDICTS_MAX: Final = 50_000
"""Remembered, so that judging the same answers again in another company runs nothing."""
DEADLINE_MARGIN_S: Final = 60.0

_lock = threading.Lock()
_sandbox: "Sandbox | None" = None
_verdicts: "OrderedDict[str, bool]" = OrderedDict()


def python_tests(
    responses: Sequence[str],
    prompt: str,
    test: str,
    entry_point: str,
    api: Literal["chat", "completions"] = "chat",
    **_: Any,
) -> dict[str, float]:
    """Run each answer as a program against a problem's tests, in a throwaway container.

    Ready to be an `eval_func`; further columns of the example are ignored. As `eval_func` of
    `tune` itself, the workers do the same.

    Args:
        responses: the answers.
        prompt: the problem's prompt, the program's beginning.
        test: code that defines `check(candidate)`, as HumanEval has it.
        entry_point: the function's name.
        api: how the answers were asked for.

    Returns:
        `success`: 1 if one passes; `expected_success`: 1 - (1 - passes/n)^n; `pass_rate`; `passes`.

    Raises:
        SandboxError: no container engine, or it fails: never a score of 0.
    """
    from workers.programs import assemble, task_of

    task = task_of({"prompt": prompt, "test": test, "entry_point": entry_point})
    sources = [assemble(task.prompt, answer, task.entry_point, api) for answer in responses]
    verdicts = _judge(sources, task.check)
    passes, n = sum(verdicts), len(verdicts)
    if n == 0:
        return {"success": 0.0, "expected_success": 0.0, "pass_rate": 0.0, "passes": 0}
    return {
        "success": success(passes, n),
        "expected_success": expected_success(passes, n),
        "pass_rate": pass_rate(passes, n),
        "passes": passes,
    }


def _judge(sources: Sequence[str], check: str) -> list[bool]:
    by_key = {_key(source, check): source for source in sources}
    with _lock:
        known = {key: _verdicts[key] for key in by_key if key in _verdicts}
    new = {key: source for key, source in by_key.items() if key not in known}
    if new:
        verdicts = dict(zip(new, _run(list(new.values()), check), strict=True))
        known |= verdicts
        with _lock:
            _verdicts.update(verdicts)
            while len(_verdicts) > VERDICTS_MAX:
                _verdicts.popitem(last=False)
    return [known[_key(source, check)] for source in sources]


def _run(sources: Sequence[str], check: str) -> list[bool]:
    from sandbox import Limits, Program

    limits = Limits()
    deadline_s = len(sources) * limits.timeout_s + DEADLINE_MARGIN_S
    programs = [Program(source=source, check=check) for source in sources]
    with _opened().prepare(study="python", limits=limits, deadline_s=deadline_s) as box:
        return [result.passed for result in box.run(programs)]


def _key(source: str, check: str) -> str:
    text = f"{len(source)}:{source}{check}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _opened() -> "Sandbox":
    from sandbox import open_sandbox

    global _sandbox
    with _lock:
        if _sandbox is None:
            _sandbox = open_sandbox()
            atexit.register(_sandbox.close)
        return _sandbox

"""Evaluator: whether the user's function can be imported, known before local workers are to import it."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from study import evaluators
from study.errors import SpecError


def check(evaluator: str) -> None:
    """Make sure that workers started in this folder can call an evaluator.

    Args:
        evaluator: as in the spec: a built-in's name, or `package.module:function`.

    Raises:
        SpecError: there is no such function here.
    """
    if evaluators.counts(evaluator):
        return
    from workers.judge import UnusableEvaluator, load

    folder = str(Path.cwd())  # which the workers' PYTHONPATH names
    sys.path.insert(0, folder)
    try:
        with redirect_stdout(sys.stderr):  # the user's module may print; standard output is ours
            load(evaluator)
    except UnusableEvaluator as exc:
        raise SpecError(
            field="metric.evaluator",
            value=evaluator,
            problem=f"can't be imported ({exc.__cause__ or 'it is not a function'})",
            remedy="write 'package.module:function', and call this where Python finds that package",
        ) from exc
    finally:
        sys.path.remove(folder)

"""The Python API: `tune`, `create` and `test`, called as FLAML's, on the same path as the command."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from bursar import aggregates, arguments
from bursar.aggregates import Aggregate
from bursar.analysis import Analysis, analysed
from bursar.arguments import Arguments
from bursar.callables import without_columns
from bursar.cluster import reach
from bursar.completion import Response, extract_text
from bursar.home import Home
from bursar.interruption import stopped_by_signals
from bursar.log_file import log_through_logging
from bursar.requesting import requests
from bursar.trial_log import TrialLog
from bursar.verdicts import python_tests
from study.errors import SpecError
from study.eval_func import EvalFunc
from study.studies import Source, Studies, StudyRecord

Config = dict[str, Any]
Row = Mapping[str, Any]

REQUESTS_AT_ONCE: Final = 16
"""Of `test`: a call mostly waits."""

log = logging.getLogger("bursar")
_source: ContextVar[Source] = ContextVar("source", default=Source.MODEL)


@dataclass(kw_only=True)
class _Remembered:
    """What `test` takes from the last `tune` of this process."""

    eval_func: EvalFunc | None = None


_last = _Remembered()


@contextmanager
def rehearsal() -> Iterator[None]:
    """Within the context `tune`, `create` and `test` ask the rehearsal endpoint: no key, no cost.

    Its answers are made from the data's canonical solutions; what is "spent" is what a real
    endpoint would have billed.
    """
    token = _source.set(Source.REHEARSAL)
    try:
        yield
    finally:
        _source.reset(token)


def tune(
    data: Sequence[Row],
    metric: str,
    mode: str = "max",
    eval_func: EvalFunc | str | None = None,
    log_file_name: str | Path | None = None,
    inference_budget: float | None = None,
    optimization_budget: float | None = None,
    num_samples: int = 1,
    logging_level: int = logging.WARNING,
    **config: Any,
) -> tuple[Config | None, Analysis]:
    """Find the configuration with the best metric under both budgets.

    Args:
        data: the examples that tune; a template reads their columns.
        metric: its name, a key of what `eval_func` returns.
        mode: "max" or "min".
        eval_func: `eval_func(responses, **example) -> dict`. A function is called in this process;
            "package.module:function" by the workers. Left out: `python_tests`.
        log_file_name: a file that gets a JSON line for every trial that finishes.
        inference_budget: dollars for one request, on average; None: no limit.
        optimization_budget: dollars for the tuning, in all; None: bounded by `num_samples` only.
        num_samples: the most trials; -1: as many as the money allows.
        logging_level: of the logger `bursar`; INFO tells how it goes.
        config: the search space: any parameter of the API as a constant, a list of choices,
            `bursar.uniform(...)` and the like. `prompt` or `messages`: templates or functions of an
            example, or lists of them; `stop`: a string, a list of strings (one constant), or a list
            of such lists. Tables of the study file too: `endpoint`, `limits`, `price`, `sandbox`,
            `run`.

    Returns:
        The best config, ready for `create` (None where none could be evaluated), and the analysis.

    Raises:
        BursarError: what is wrong, in words; before anything is spent where it can be known before.
    """
    log.setLevel(logging_level)
    read = arguments.of_tune(
        data,
        metric=metric,
        mode=mode,
        eval_func=eval_func,
        inference_budget=inference_budget,
        optimization_budget=optimization_budget,
        num_samples=num_samples,
        config=config,
    )
    in_process = _in_process(read, eval_func)
    _last.eval_func = eval_func if callable(eval_func) else _imported(eval_func)
    with TrialLog(log_file_name) as trial_log:
        return _tuned(read, data, in_process, trial_log)


def create(context: Row | None = None, use_cache: bool = True, **config: Any) -> Response:
    """Make one request, in this process.

    Args:
        context: the columns that the prompt's template reads.
        use_cache: taken for FLAML's sake; no answer is ever taken from a cache.
        config: constants, such as the config that `tune` returned.

    Returns:
        The response: `choices`, `usage`, `cost` in dollars, `config`.

    Raises:
        BursarError: what is wrong, in words.
    """
    del use_cache
    read = arguments.of_request(config)
    rows = read.prompts.rows_with_columns([dict(context or {})])
    with requests(read, rows, source=_source.get()) as request:
        return request(rows[0], config)


def evaluate(
    data: Sequence[Row],
    config: Config | None = None,
    eval_func: EvalFunc | str | None = None,
    use_cache: bool = True,
    agg_method: str | Aggregate | Mapping[str, Aggregate] = "avg",
    return_responses_and_per_instance_result: bool = False,
    logging_level: int = logging.WARNING,
    **params: Any,
) -> Any:
    """Evaluate a config on examples: `bursar.test`.

    Args:
        data: the examples.
        config: the config, as `tune` returned it; its parameters may be given by name instead.
        eval_func: as for `tune`; that of the last `tune` where left out.
        use_cache: taken for FLAML's sake; no answer is ever taken from a cache.
        agg_method: how a metric is taken together over the examples: "avg", "median", a function
            of a list, or a dict with a function for each metric.
        return_responses_and_per_instance_result: whether to return more than the aggregate.
        logging_level: of the logger `bursar`.
        params: parameters of the config.

    Returns:
        Each metric, `cost` (dollars in all) and `inference_cost` (dollars for one request). If asked
        for: a tuple of this, the list of every example's metrics, and the list of its answers.

    Raises:
        BursarError: what is wrong, in words.
    """
    del use_cache
    log.setLevel(logging_level)
    given = {**(config or {}), **params}
    read = arguments.of_request(given)
    _check_not_empty(data)
    judge = _imported(eval_func) if isinstance(eval_func, str) else eval_func or _last.eval_func
    rows = read.prompts.rows_with_columns(data)
    methods = aggregates.methods(agg_method)
    with (
        requests(read, rows, source=_source.get()) as request,
        ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool,
    ):
        responses = list(pool.map(lambda row: request(row, given), rows))
        answers = [extract_text(response) for response in responses]
        judging = pool.map if judge is python_tests else map  # a user's function: one at a time
        results = [dict(found) for found in judging(_call(judge), answers, data)]
    total = aggregates.over_examples(results, methods)
    costs = [response.cost for response in responses]
    if None not in costs:
        cost = sum(cost for cost in costs if cost is not None)
        total |= {"cost": cost, "inference_cost": cost / len(costs)}
    if return_responses_and_per_instance_result:
        return total, results, answers
    return total


evaluate.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def _tuned(
    read: Arguments, data: Sequence[Row], eval_func: EvalFunc | None, trial_log: TrialLog
) -> tuple[Config | None, Analysis]:
    from bursar import sitting  # what stands beside the search takes seconds to load
    from coordinator.data import split
    from coordinator.drive import Progress

    if not structlog.is_configured():
        log_through_logging()
    spec, home = read.spec, Home()
    _check_not_empty(data)
    examples = split(read.prompts.rows_with_columns(data), tune_size=len(data))
    with reach(home) as cluster, stopped_by_signals() as stop:
        studies = Studies(cluster.client)
        watched: list[StudyRecord] = []

        def on_progress(progress: Progress) -> None:
            best = f"{progress.best.value:.3f}" if progress.best else "none"
            log.info("%s trials, best so far: %s", progress.trials, best)
            trial_log.write(lambda: studies.trials(watched[0].id), spec)

        report = sitting.tune(
            spec,
            examples,
            cluster=cluster,
            source=_source.get(),
            watcher=sitting.Watcher(
                stop=stop,
                on_start=watched.append,
                on_progress=on_progress,
                on_warning=log.warning,
            ),
            eval_func=eval_func,
        )
        trials = studies.trials(report["study"])
        trial_log.write(lambda: trials, spec)
    home.save_report(report["study"], report)
    analysis = analysed(report, trials, spec=spec, public=read.public)
    return analysis.best_config, analysis


def _check_not_empty(data: Sequence[Row]) -> None:
    from coordinator.data import tables

    tables(data)
    if not data:
        raise SpecError(
            field="data", value=data, problem="has no examples", remedy="give at least one"
        )


def _call(judge: EvalFunc | None) -> Callable[[list[str], Row], Mapping[str, Any]]:
    """The user's function of answers and example; where there is none, nothing is measured."""
    return lambda answers, row: judge(answers, **row) if judge else {}


def _in_process(read: Arguments, eval_func: EvalFunc | str | None) -> EvalFunc | None:
    """The metric that the coordinator calls; None where the workers do."""
    evaluator = read.spec.metric.evaluator
    called = any(isinstance(template, dict) for template in read.prompts.templates)
    if evaluator != arguments.IN_THIS_PROCESS and not (called and isinstance(eval_func, str)):
        return None
    judge = _imported(eval_func) if isinstance(eval_func, str) else eval_func
    assert judge is not None  # noqa: S101 (for mypy: the evaluator is that function)
    return lambda responses, **row: judge(responses, **without_columns(row))


def _imported(eval_func: str | None) -> EvalFunc | None:
    if eval_func is None:
        return python_tests
    from workers.judge import UnusableEvaluator, load

    try:
        return load(eval_func)
    except UnusableEvaluator as exc:
        raise SpecError(
            field="eval_func",
            value=eval_func,
            problem="can't be imported here",
            remedy="write 'package.module:function', and let Python find that package",
        ) from exc

"""Tuning: a study's search and a config's held-out evaluation, put together and run; the role's root."""

import threading
from collections.abc import Callable
from typing import Any

from coordinator.bounds import Bounds
from coordinator.drive import Progress
from coordinator.held_out import HeldOut
from coordinator.loop import Outcome, run_study
from coordinator.report import report
from coordinator.search import Search
from study import evaluators, keys
from study.config import Config
from study.connection import Client
from study.errors import NotBegun, StudyBusy
from study.eval_func import EvalFunc
from study.metrics import COUNT_METRICS, CountMetric
from study.spec import StudySpec
from study.studies import Studies, StudyRecord, StudyStatus


def tune_study(
    record: StudyRecord,
    *,
    client: Client,
    broker_url: str,
    eval_func: EvalFunc | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Tune a study, from its start or from where it was left; keep its report in Redis.

    Returns:
        The report: the object of `tune --json`.

    Raises:
        What `run_study` raises; the report so far is kept in that case too.
    """
    bounds = Bounds.of(record, client)
    search = open_search(record, client, bounds=bounds)
    outcome: Outcome | None = None
    begun = True
    try:
        outcome = run_study(
            record,
            search,
            client=client,
            broker_url=broker_url,
            eval_func=eval_func,
            bounds=bounds,
            on_progress=on_progress,
            stop=stop,
        )
    except (StudyBusy, NotBegun):  # the report is another's
        begun = False
        raise
    finally:
        if begun:
            search.conclude()
            found = report(
                record,
                client=client,
                best=search.recommend(),
                front=search.pareto_front(),
                completions_paid=search.completions_paid,
                wall_seconds=outcome.wall_seconds if outcome else 0.0,
                reason=outcome.reason if outcome else "",
            )
            Studies(client).save_report(record.id, found)
    return found


def evaluate_config(
    record: StudyRecord,
    config: Config,
    *,
    client: Client,
    broker_url: str,
    eval_func: EvalFunc | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> HeldOut:
    """Evaluate a config on the examples of a study that `start_test` wrote down.

    Returns:
        The plan, with its results by example and what could not be scored.
    """
    bounds = Bounds.of(record, client)
    plan = HeldOut(
        config,
        list(Studies(client).examples(record.id)),
        count_metric=count_metric(record.spec),
        price=record.prices[config.arm.model],
        bound=bounds.worst_case,
    )
    run_study(
        record,
        plan,
        client=client,
        broker_url=broker_url,
        eval_func=eval_func,
        bounds=bounds,
        on_progress=on_progress,
        stop=stop,
    )
    return plan


def open_search(record: StudyRecord, client: Client, *, bounds: Bounds | None = None) -> Search:
    """The search of a study, before anything was asked of it or told to it."""
    spec, studies = record.spec, Studies(client)
    return Search(
        spec.search_space,
        count_metric=count_metric(spec),
        mode=spec.metric.mode,
        examples=list(studies.examples(record.id)),
        prices=record.prices,
        inference_limit=spec.budget.inference_nanodollars,
        optimization_limit=spec.budget.optimization_nanodollars,
        bound=(bounds or Bounds.of(record, client)).worst_case,
        trials_max=None if spec.budget.trials == -1 else spec.budget.trials,
        seed=spec.run.seed,
    )


def count_metric(spec: StudySpec) -> CountMetric | None:
    """The metric as a function of passes and n, where the evaluator judges each answer."""
    return COUNT_METRICS[spec.metric.name] if evaluators.counts(spec.metric.evaluator) else None


def worst_case_of_test(record: StudyRecord, config: Config, client: Client) -> int:
    """What evaluating a config once on each example of a study can cost at most, in nanodollars."""
    bounds = Bounds.of(record, client)
    examples = Studies(client).examples(record.id)
    return sum(bounds.worst_case(config.arm, example, config.n) for example in examples)


def stop_study(client: Client, study_id: str) -> bool:
    """Ask a study's coordinator, wherever it runs, to stop.

    Returns:
        Whether one was driving it; else the study is as it was.
    """
    studies = Studies(client)
    studies.status(study_id)  # raises where there is no such study
    if not client.exists(keys.lease(study_id)):
        return False
    studies.set_status(study_id, StudyStatus.STOPPING)
    return True

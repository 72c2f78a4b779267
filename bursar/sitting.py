"""Sitting: a study from its checks, or from where it was left, to its report; command and API share it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bursar import credentials, engine, evaluator
from bursar.cluster import Cluster
from bursar.stand_in import Row, StandIn, address_towards, stand_in
from coordinator.bounds import Bounds
from coordinator.data import Examples
from coordinator.drive import Progress
from coordinator.held_out import HeldOut
from coordinator.start import check_examples, start_study, start_test
from coordinator.tuning import evaluate_config, tune_study
from study import evaluators, fleet, prices
from study.config import Config
from study.errors import Interrupted
from study.eval_func import EvalFunc
from study.spec import StudySpec
from study.studies import Source, StudyRecord

NO_WORKERS: Final = (
    "no worker is there yet: the study waits for one. Start some where BURSAR_REDIS_URL names the "
    "same Redis: python -m workers"
)


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Who is told how a sitting goes, and who may end it.

    Args:
        stop: set it to end in order.
        on_start: called with the study once its checks are passed.
        on_progress: called about once a second.
        on_warning: called with what the user must be told loudly.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    on_start: Callable[[StudyRecord], None] = lambda _: None
    on_progress: Callable[[Progress], None] = lambda _: None
    on_warning: Callable[[str], None] = lambda _: None


def tune(
    spec: StudySpec,
    examples: Examples,
    *,
    cluster: Cluster,
    source: Source,
    watcher: Watcher,
    eval_func: EvalFunc | None = None,
) -> dict[str, Any]:
    """Check a study, run it and report.

    Args:
        spec: the study.
        examples: its rows.
        cluster: where it runs.
        source: who answers.
        watcher: who is told.
        eval_func: the user's metric, where it lives in this process.

    Returns:
        The report: the object of `tune --json`.

    Raises:
        BursarError: whatever is wrong with spec, data, budget, key or infrastructure.
    """
    rows = [*examples.tune, *examples.held_out]
    in_process = eval_func is not None
    with _endpoint(spec, rows, cluster, source, watcher=watcher, in_process=in_process) as endpoint:
        record = start_study(
            spec,
            examples,
            client=cluster.client,
            source=source,
            base_url=endpoint.base_url or None,
            scored_by_coordinator=in_process,
        )
        return _drive(record, endpoint, cluster, watcher, eval_func)


def resume(
    record: StudyRecord,
    rows: Sequence[tuple[str, Row]],
    *,
    cluster: Cluster,
    watcher: Watcher,
) -> dict[str, Any]:
    """Go on with a study from where it was left.

    Args:
        record: the study.
        rows: its examples.
        cluster: where it runs.
        watcher: who is told.

    Returns:
        As `tune`.

    Raises:
        BursarError: as `tune`; the study's checks were passed before.
    """
    with _endpoint(
        record.spec, rows, cluster, record.source, watcher=watcher, before=record.base_url
    ) as endpoint:
        return _drive(record, endpoint, cluster, watcher, None)


def test(
    parent: StudyRecord,
    config: Config,
    rows: Sequence[tuple[str, Row]],
    *,
    limit: int | None,
    cluster: Cluster,
    watcher: Watcher,
) -> tuple[StudyRecord, HeldOut]:
    """Evaluate a config on examples that did not tune it, with an account of its own.

    Args:
        parent: the study that the config comes from.
        config: what is evaluated.
        rows: the examples.
        limit: of that account, in nanodollars; the worst case of all examples where left out.
        cluster: where it runs.
        watcher: who is told.

    Returns:
        The test's own record, and its results.

    Raises:
        BursarError: as `tune`.
    """
    with _endpoint(
        parent.spec, rows, cluster, parent.source, watcher=watcher, before=parent.base_url
    ) as endpoint:
        if limit is None:
            limit = worst_case_of_test(parent, config, rows)
        record = start_test(parent, rows, client=cluster.client, limit=limit)
        watcher.on_start(record)
        with _workers(record, endpoint, cluster, watcher):
            plan = evaluate_config(
                record,
                config,
                client=cluster.client,
                broker_url=cluster.broker_url,
                on_progress=watcher.on_progress,
                stop=watcher.stop,
            )
    return record, plan


def worst_case_of_test(parent: StudyRecord, config: Config, rows: Sequence[tuple[str, Row]]) -> int:
    """What evaluating a config once on each example can cost at most, in nanodollars."""
    bounds = Bounds(parent.spec.search_space, prices=parent.prices, examples=dict(rows))
    return sum(bounds.worst_case(config.arm, example_id, config.n) for example_id, _ in rows)


test.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def _drive(
    record: StudyRecord,
    endpoint: StandIn,
    cluster: Cluster,
    watcher: Watcher,
    eval_func: EvalFunc | None,
) -> dict[str, Any]:
    watcher.on_start(record)
    with _workers(record, endpoint, cluster, watcher):
        return tune_study(
            record,
            client=cluster.client,
            broker_url=cluster.broker_url,
            eval_func=eval_func,
            on_progress=watcher.on_progress,
            stop=watcher.stop,
        )


@contextmanager
def _workers(
    record: StudyRecord, endpoint: StandIn, cluster: Cluster, watcher: Watcher
) -> Iterator[None]:
    """Have workers; where they do not stay alive, that is why the study ended."""
    with cluster.workers(
        concurrency=record.spec.limits.concurrency,
        additions=endpoint.environment,
        on_failure=watcher.stop.set,
    ) as workers:
        if workers is None and not fleet.workers(cluster.client):
            watcher.on_warning(NO_WORKERS)
        try:
            yield
        except Interrupted:
            if workers is not None and workers.failure is not None:
                raise workers.failure from None
            raise


@contextmanager
def _endpoint(
    spec: StudySpec,
    rows: Sequence[tuple[str, Row]],
    cluster: Cluster,
    source: Source,
    *,
    watcher: Watcher,
    before: str | None = None,
    in_process: bool = False,
) -> Iterator[StandIn]:
    """Who answers: the rehearsal endpoint, or the spec's own; and whether answers can be judged here."""
    if cluster.is_local and not in_process:
        evaluator.check(spec.metric.evaluator)
    if cluster.is_local and evaluators.counts(spec.metric.evaluator):
        warning = engine.check(source)
        if warning:
            watcher.on_warning(warning)
    if source is Source.MODEL:
        # In a fleet the workers hold the key; this machine need not.
        if cluster.is_local:
            credentials.check(spec.endpoint)
        yield StandIn(base_url=before or "", environment={})
        return
    pinned = prices.pinned(spec)
    check_examples(spec, rows, scored_by_coordinator=in_process)
    with stand_in(
        spec, rows, prices=pinned, host=address_towards(cluster.url), base_url=before
    ) as endpoint:
        yield endpoint

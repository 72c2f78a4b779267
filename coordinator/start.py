"""Start: everything that can be wrong is found here, before a cent is spent."""

from collections.abc import Mapping, Sequence
from typing import Any

from coordinator.bounds import Bounds
from coordinator.data import Examples, Row
from study import evaluators, money, prices, templates
from study.connection import Client
from study.errors import BudgetTooSmall, DataError
from study.ledger import Ledger, parent_account
from study.prices import Price, Usage
from study.spec import StudySpec
from study.studies import Purpose, Source, Studies, StudyRecord


def start_study(
    spec: StudySpec,
    examples: Examples,
    *,
    client: Client,
    source: Source,
    base_url: str | None = None,
    scored_by_coordinator: bool = False,
) -> StudyRecord:
    """Check a study, open its account and write it down, ready for `run_study`.

    Args:
        spec: what is tuned.
        examples: the rows.
        client: of the study's Redis.
        source: who answers.
        base_url: where, if not where the spec or the environment says.
        scored_by_coordinator: whether the metric lives in this process only.

    Raises:
        SpecError: an unpriced model.
        DataError: a template or the evaluator reads a column that an example lacks, or there are
            fewer examples than the spec says.
        BudgetTooSmall: the budget can't pay for one evaluation, or no request can keep to its own.
    """
    pinned = prices.pinned(spec)
    check_size(spec, examples)
    check_examples(spec, examples.tune, scored_by_coordinator=scored_by_coordinator)
    check_budget(spec, pinned, dict(examples.tune))
    record = Studies(client).create(
        spec,
        pinned=pinned,
        source=source,
        base_url=base_url,
        scored_by_coordinator=scored_by_coordinator,
        examples=examples.tune,
    )
    open_account(client, record, limit=spec.budget.optimization_nanodollars)
    return record


def start_test(
    parent: StudyRecord, rows: Sequence[tuple[str, Row]], *, client: Client, limit: int
) -> StudyRecord:
    """Write down the evaluation of one config on held-out examples, with an account of its own.

    Raises:
        DataError: a template or the evaluator reads a column that an example lacks.
    """
    check_examples(parent.spec, rows, scored_by_coordinator=parent.scored_by_coordinator)
    record = Studies(client).create(
        parent.spec,
        pinned=parent.prices,
        purpose=Purpose.TEST,
        source=parent.source,
        base_url=parent.base_url,
        scored_by_coordinator=parent.scored_by_coordinator,
        examples=rows,
    )
    open_account(client, record, limit=limit)
    return record


def open_account(client: Client, record: StudyRecord, *, limit: int) -> None:
    """Open a study's account under the fleet's; twice is the same as once."""
    ledger = Ledger(client)
    parent = parent_account(record.account)
    if parent is not None:
        ledger.open(parent, limit=None)
    ledger.open(record.account, limit=limit)


def check_size(spec: StudySpec, examples: Examples) -> None:
    """Make sure that there are as many rows to tune on as the study says.

    Raises:
        DataError: saying how many there are.
    """
    count = len(examples.tune)
    if count < spec.data.tune_size:
        raise DataError(
            field="data.tune_size",
            value=spec.data.tune_size,
            problem=f"the data has {count} row{'' if count == 1 else 's'} only",
            remedy=f"write {count} at most; what is below leaves rows to test on",
        )


def check_examples(
    spec: StudySpec, rows: Sequence[tuple[str, Row]], *, scored_by_coordinator: bool
) -> None:
    """Make sure that every template can be rendered, and every example scored.

    Raises:
        DataError: naming the template or evaluator, the column and the example.
    """
    name = "messages" if "messages" in spec.space else "prompt"
    for example_id, row in rows:
        for index, template in enumerate(spec.search_space.templates):
            templates.check(template, row, field=f"space.{name}[{index}]", example_id=example_id)
        if not scored_by_coordinator:
            evaluators.check_columns(spec.metric.evaluator, row, example_id=example_id)


def check_budget(
    spec: StudySpec, pinned: Mapping[str, Price], rows: Mapping[str, Mapping[str, Any]]
) -> None:
    """Make sure that one evaluation can be paid, and that a request can keep to its own budget.

    Raises:
        BudgetTooSmall: naming the budget, and what the cheapest evaluation can cost at most, or
            the cheapest request at least.
    """
    limit = spec.budget.optimization_nanodollars
    cheapest, model = Bounds(spec.search_space, prices=pinned, examples=rows).cheapest()
    if cheapest > limit:
        raise BudgetTooSmall(
            f"budget.optimization_usd = {spec.budget.optimization_usd}: can't pay for one "
            f"evaluation; the cheapest ({model}) can cost {money.show(cheapest)}. "
            f"Raise it, or lower space.max_tokens"
        )
    fewest = min(spec.search_space.n)
    usage = Usage(prompt_tokens=1, completion_tokens=fewest)  # each answer has a token, or more
    least, model = min((price.cost(usage), model) for model, price in pinned.items())
    if least > spec.budget.inference_nanodollars:
        raise BudgetTooSmall(
            f"budget.inference_usd = {spec.budget.inference_usd}: no request can cost so little; "
            f"the cheapest ({model}, n = {fewest}) costs {money.show(least)} at least. "
            f"Raise it, or add a cheaper model to space.model"
        )

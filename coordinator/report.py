"""Report: what came of a study, as the JSON that the command promises and as rows for a table."""

from collections.abc import Sequence
from typing import Any

from study import keys, money
from study.config import Config
from study.connection import Client
from study.ledger import Ledger
from study.spec import StudySpec
from study.studies import Source, Studies, StudyRecord
from study.trials import Estimate, Trial


def report(
    record: StudyRecord,
    *,
    client: Client,
    best: Estimate | None,
    front: Sequence[Estimate],
    completions_paid: int,
    wall_seconds: float,
    reason: str,
) -> dict[str, Any]:
    """The object that `tune --json` ends with, and what more the report shows.

    Args:
        record: the study.
        client: of the study's Redis.
        best: what is recommended.
        front: the Pareto front of quality against cost, cheapest first.
        completions_paid: answers bought.
        wall_seconds: how long it took.
        reason: why it ended.
    """
    studies, spec = Studies(client), record.spec
    trials = studies.trials(record.id)
    return {
        "study": record.id,
        "status": studies.status(record.id).value,
        "config": None if best is None else public_config(spec, best.config),
        "best": None if best is None else estimate_row(spec, best),
        "budget": budget_row(client, record.account),
        "trials": len(trials),
        "completions_paid": completions_paid,
        "wall_seconds": round(wall_seconds, 3),
        "rehearsal": record.source is Source.REHEARSAL,
        "reason": reason,
        **eval_func_row(client, record.id),
        "pareto_front": [
            {**estimate_row(spec, one), "config": public_config(spec, one.config)} for one in front
        ],
    }


def public_config(spec: StudySpec, config: Config) -> dict[str, Any]:
    """A config in the API's words; a callable's template shows as the column that it filled."""
    templates = [
        f"{{{template['column']}}}" if isinstance(template, dict) else template
        for template in spec.search_space.templates
    ]
    return config.as_parameters(templates)


def estimate_row(spec: StudySpec, estimate: Estimate) -> dict[str, Any]:
    """What is believed of a config, as JSON values."""
    return {
        "metric": spec.metric.name,
        "value": estimate.value,
        "std_error": estimate.std_error,
        "inference_cost_usd": money.to_usd(estimate.inference_cost_nanodollars),
        "examples": estimate.examples,
        "draws": estimate.draws,
    }


def budget_row(client: Client, account: str) -> dict[str, Any]:
    """An account, in dollars; `limit_usd` is null where there is no limit."""
    balance = Ledger(client).balance(account)
    row = {
        "limit_usd": None if balance.limit is None else money.to_usd(balance.limit),
        "spent_usd": money.to_usd(balance.spent),
        "reserved_usd": money.to_usd(balance.reserved),
        "in_doubt_usd": money.to_usd(balance.in_doubt),
    }
    if balance.overrun:
        row["overrun_usd"] = money.to_usd(balance.overrun)
    return row


def eval_func_row(client: Client, study_id: str) -> dict[str, Any]:
    """How often the user's function raised, and where; nothing where it never did."""
    count, tracebacks = Studies(client).eval_func_errors(study_id)
    if not count:
        return {}
    return {"eval_func_errors": {"count": count, "tracebacks": tracebacks}}


def trial_row(spec: StudySpec, trial: Trial) -> dict[str, Any]:
    """A trial as JSON values, its config in the API's words."""
    estimate = trial.estimate
    config = estimate.config if estimate else Config(arm=trial.arm, n=1)
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "rung": trial.rung,
        "reason": trial.reason,
        "config": public_config(spec, config),
        "best": None if estimate is None else estimate_row(spec, estimate),
    }


def study_row(client: Client, study_id: str) -> dict[str, Any]:
    """A study in one line, for `bursar list`."""
    studies = Studies(client)
    record = studies.load(study_id)
    last = studies.report(study_id) or {}
    return {
        "study": study_id,
        "status": studies.status(study_id).value,
        "purpose": record.purpose.value,
        "rehearsal": record.source is Source.REHEARSAL,
        "created_at_s": record.created_at_s,
        "driven": bool(client.exists(keys.lease(study_id))),
        "trials": int(client.hlen(keys.trials(study_id))),
        "best": last.get("best"),
        "budget": budget_row(client, record.account),
        **eval_func_row(client, study_id),
    }

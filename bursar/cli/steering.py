"""`bursar stop`, `budget` and `forget`: what changes a study from outside."""

import math
from typing import Annotated, Any

import typer
from rich.table import Table

from bursar.cli import figures, pictures, screen
from bursar.cli.app import Json, StudyId, app, budget, studies_here
from bursar.cli.reported import reported
from bursar.cluster import Cluster
from coordinator.report import budget_row
from study import keys, money
from study.errors import SpecError
from study.ledger import Balance, Ledger
from study.retention import Retention
from study.studies import Studies

OptionalStudyId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The study; the whole fleet where left out.")
]

ForgottenIds = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="The studies.")]
OlderThan = Annotated[
    float | None,
    typer.Option(min=0, metavar="DAYS", help="And those complete for so many days."),
]
Unfinished = Annotated[
    bool, typer.Option("--unfinished", help="Named ones that could be resumed, too.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which ones would go.")]


@app.command()
@reported
def stop(study: StudyId, as_json: Json = False) -> None:
    """Ask a study to end in order, wherever it runs; it can be resumed."""
    from coordinator.tuning import stop_study  # beside the search, which takes seconds to load

    with studies_here(study) as cluster:
        was_driven = stop_study(cluster.client, study)
    words = (
        f"{study} is asked to stop: what runs may finish. Go on later with: bursar resume {study}"
        if was_driven
        else f"{study} is not running: nothing to stop."
    )
    screen.show({"study": study, "stopping": was_driven}, words, as_json=as_json)


@app.command()
@reported
def forget(
    studies: ForgottenIds = None,
    older_than: OlderThan = None,
    unfinished: Unfinished = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove studies from Redis with all they bought; what they spent stays in the fleet's books."""
    named = list(studies or [])
    if not named and older_than is None:
        raise SpecError(
            field="ID",
            problem="is left out, and --older-than too",
            remedy="write `bursar forget ID`, or `bursar forget --older-than 90`",
        )
    with studies_here(next(iter(named), None)) as cluster:
        retention, rows = Retention(cluster.client), list[dict[str, Any]]()
        old = [] if older_than is None else retention.ended(days=older_than)
        for study in dict.fromkeys([*named, *old]):
            if dry_run:
                spent = Ledger(cluster.client).balance(_account(cluster, study)).spent
            else:
                even = unfinished and study in named
                spent = retention.forget(study, even_if_unfinished=even).spent
            rows.append({"study": study, "spent_usd": money.to_usd(spent)})
    verb = "would be forgotten" if dry_run else "is forgotten"
    words = [
        f"{row['study']} {verb}; the {figures.usd(row['spent_usd'])} it spent stay in the books."
        for row in rows
    ]
    picture = "\n".join(words) or "Nothing to forget."
    screen.show({"forgotten": rows, "dry_run": dry_run}, picture, as_json=as_json)


@budget.command(name="show")
@reported
def show_budget(study: OptionalStudyId = None, as_json: Json = False) -> None:
    """What may be spent, and what is."""
    with studies_here(study) as cluster:
        account = _account(cluster, study)
        row = {"account": account, **budget_row(cluster.client, account)}
    screen.show(row, _picture(row), as_json=as_json)


IdOrUsd = Annotated[str, typer.Argument(metavar="[ID]", help="The study, or the fleet.")]
Usd = Annotated[float | None, typer.Argument(help="The new limit, in dollars.")]


@budget.command(name="raise")
@reported
def raise_budget(study_or_usd: IdOrUsd, usd: Usd = None, as_json: Json = False) -> None:
    """Set a higher limit; a study that runs goes on with it at once."""
    _set_limit(study_or_usd, usd, is_raise=True, as_json=as_json)


@budget.command(name="lower")
@reported
def lower_budget(study_or_usd: IdOrUsd, usd: Usd = None, as_json: Json = False) -> None:
    """Set a lower limit; below what is spent, it stops new calls at once and takes nothing back."""
    _set_limit(study_or_usd, usd, is_raise=False, as_json=as_json)


@budget.command(name="sum-up")
@reported
def sum_up_budget(
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Of which age.")],
    as_json: Json = False,
) -> None:
    """Replace old entries of the fleet's journal by their sums: the sums stay."""
    if not math.isfinite(older_than):
        raise SpecError(
            field="--older-than", value=older_than, problem="is no number of days",
            remedy="write for example: bursar budget sum-up --older-than 365",
        )  # fmt: skip
    with studies_here(None) as cluster:
        count = Retention(cluster.client).sum_up_books(days=older_than)
        row = budget_row(cluster.client, keys.FLEET_ACCOUNT)
    words = (
        f"{count:,} entries older than {older_than:g} days are summed up."
        if count
        else (f"No entry is older than {older_than:g} days.")
    )
    result = {"summed_up": count, "older_than_days": older_than, "budget": row}
    screen.show(result, words, as_json=as_json)


def _set_limit(study_or_usd: str, usd: float | None, *, is_raise: bool, as_json: bool) -> None:
    study = None if usd is None else study_or_usd
    limit = _limit(study_or_usd if usd is None else usd)
    with studies_here(study) as cluster:
        account = _account(cluster, study)
        ledger = Ledger(cluster.client)
        ledger.open(account, limit=None)
        now = ledger.balance(account)
        if is_raise:
            _check_is_higher(limit, now)
        else:
            _check_is_lower(limit, now)
        ledger.set_limit(account, limit)
        row = {"account": account, **budget_row(cluster.client, account)}
    screen.show(row, _picture(row), as_json=as_json)


def _check_is_higher(limit: int, now: Balance) -> None:
    # Two commands, so that a slip of the finger can't stop a study, nor let it spend more.
    if now.limit is not None and limit < now.limit:
        raise SpecError(
            field="USD",
            value=money.to_usd(limit),
            problem=f"below the limit that stands, {money.show(now.limit)}",
            remedy="name a higher one, or write: bursar budget lower",
        )


def _check_is_lower(limit: int, now: Balance) -> None:
    if now.limit is not None and limit > now.limit:
        raise SpecError(
            field="USD",
            value=money.to_usd(limit),
            problem=f"above the limit that stands, {money.show(now.limit)}",
            remedy="name a lower one, or write: bursar budget raise",
        )


def _account(cluster: Cluster, study: str | None) -> str:
    return keys.FLEET_ACCOUNT if study is None else Studies(cluster.client).load(study).account


def _limit(usd: str | float) -> int:
    try:
        return money.limit_from_usd(usd)
    except ValueError as exc:
        raise SpecError(
            field="USD",
            value=usd,
            problem="is no amount of dollars",
            remedy="write for example: bursar budget raise ID 2.50",
        ) from exc


def _picture(row: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("account", str(row["account"]))
    for name in ("limit", "spent", "reserved", "in_doubt"):
        grid.add_row(name.replace("_", " "), figures.usd(row[f"{name}_usd"]))
    pictures.add_alarm(grid, row)
    return grid

"""`bursar test` and `bursar complete`: a study's best configuration, tried out and used."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from bursar.answering import answering
from bursar.cli import figures, pictures, screen
from bursar.cli.app import Json, StudyId, app, studies_here
from bursar.cli.looking import last_report
from bursar.cli.reported import reported
from bursar.cli.running import watching
from bursar.cluster import Cluster
from bursar.completion import Completer, Request, Response, extract_text
from bursar.configs import config_of
from bursar.home import Home
from bursar.log_file import log_to_file
from bursar.study_file import is_local
from coordinator.data import Row, load_examples
from coordinator.report import budget_row, public_config
from study import money, templates
from study.config import Config
from study.errors import DataError, SpecError
from study.studies import Source, Studies, StudyRecord

if TYPE_CHECKING:  # it stands beside the search, which takes seconds to load
    from coordinator.held_out import HeldOut

HELD_OUT: Final = "test"
TUNED_ON: Final = "tune"


@app.command(name="test")
@reported
def score_best(
    study: StudyId,
    split: Annotated[
        str,
        typer.Option(
            help="'test': the held-out rows; 'tune': the others; else another split of the data."
        ),
    ] = HELD_OUT,
    limit_usd: Annotated[
        float | None, typer.Option(help="The most that this may cost; its worst case if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score the best configuration on examples that did not tune it."""
    home = Home()
    with studies_here(study) as cluster:
        record = Studies(cluster.client).load(study)
        config = _best(cluster, record)
        rows = _rows(record, split)
        limit = None if limit_usd is None else _limit(limit_usd)
        from bursar import sitting  # what stands beside the search takes seconds to load

        log_to_file(home)
        with watching("testing") as watcher:
            own, plan = sitting.test(
                record, config, rows, limit=limit, cluster=cluster, watcher=watcher
            )
        result = _result(record, config, own, plan, split) | {
            "budget": budget_row(cluster.client, own.account)
        }
    home.save_report(own.id, result)
    screen.show(result, *_picture(result), as_json=as_json)


@app.command()
@reported
def complete(
    study: StudyId,
    example: Annotated[
        int | None, typer.Option(min=0, metavar="K", help="The K-th tuning example.")
    ] = None,
    context: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A JSON object with the template's columns.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask for an answer with the best configuration."""
    with studies_here(study) as cluster:
        record = Studies(cluster.client).load(study)
        config = _best(cluster, record)
        row = _context(cluster, record, example, context)
        response = _answer(record, config, row, name=str(context or example))
    texts = extract_text(response)
    result = {
        "study": study,
        "rehearsal": record.source is Source.REHEARSAL,
        "answers": texts,
        "usage": vars(response.usage),
        "cost_usd": response.cost,
        "config": response.config,
    }
    cost = f"[dim]cost {figures.usd(response.cost)}[/]"
    screen.show(result, *_rehearsal_note(result), pictures.answers(texts), cost, as_json=as_json)


def _result(
    record: StudyRecord, config: Config, own: StudyRecord, plan: "HeldOut", split: str
) -> dict[str, Any]:
    """What a test came to, as JSON values; all but its account."""
    estimate = plan.recommend()
    return {
        "study": record.id,
        "test": own.id,
        "split": split,
        "rehearsal": record.source is Source.REHEARSAL,
        "config": public_config(record.spec, config),
        "metric": record.spec.metric.name,
        "value": estimate.value if estimate else None,
        "std_error": estimate.std_error if estimate else None,
        "inference_cost_usd": money.to_usd(estimate.inference_cost_nanodollars)
        if estimate
        else None,
        "examples": len(plan.results),
        "unscored": plan.unscored,
    }


def _answer(record: StudyRecord, config: Config, row: Row, *, name: str) -> Response:
    """Ask once with a config, where the study asked.

    Raises:
        DataError: the template reads a column that the row, called `name`, lacks.
    """
    spec, source = record.spec, record.source
    template = spec.search_space.templates[config.arm.template]
    templates.check(template, row, field="prompt", example_id=name)
    request = Request(
        rendered=templates.render(template, row),
        model=config.arm.model,
        params=config.arm.params,
        n=config.n,
    )
    with (
        answering(spec, [("context", row)], prices=record.prices, source=source) as base_url,
        Completer(spec.endpoint, base_url=base_url or record.base_url, source=source) as completer,
    ):
        price = record.prices[config.arm.model]
        return completer.complete(request, price=price, config=public_config(spec, config))


def _best(cluster: Cluster, record: StudyRecord) -> Config:
    """The configuration that a study recommends.

    Raises:
        SpecError: it recommends none (yet).
    """
    found = last_report(Studies(cluster.client), record.id)
    if found["config"] is None:
        raise SpecError(
            field="study",
            value=record.id,
            problem="recommends no configuration: none was evaluated to the end",
            remedy=f"see `bursar trials {record.id}` for the reasons; raise the budget",
        )
    return config_of(record.spec, found["config"])


def _rows(record: StudyRecord, split: str) -> Sequence[tuple[str, Row]]:
    data = record.spec.data
    if split in (HELD_OUT, TUNED_ON):
        examples = load_examples(data)
        rows = examples.held_out if split == HELD_OUT else examples.tune
    elif is_local(data):
        raise DataError(
            field="--split",
            value=split,
            problem="a local file has no splits",
            remedy=f"leave it out, or write {HELD_OUT} or {TUNED_ON}",
        )
    else:
        whole = load_examples(data.model_copy(update={"split": split}))
        rows = (*whole.held_out, *whole.tune)
    if not rows:
        raise DataError(
            field="data.tune_size",
            value=data.tune_size,
            problem="leaves no rows to test on",
            remedy="name another split with --split, or tune on fewer rows",
        )
    return rows


def _limit(usd: float) -> int:
    try:
        return money.limit_from_usd(usd)
    except ValueError as exc:
        raise SpecError(
            field="--limit-usd", value=usd, problem="is no amount", remedy="write dollars"
        ) from exc


def _context(
    cluster: Cluster, record: StudyRecord, example: int | None, file: Path | None
) -> dict[str, Any]:
    if example is not None and file is None:
        return _example(Studies(cluster.client).examples(record.id), example)
    if file is not None and example is None:
        return context_from(file)
    raise SpecError(
        field="--example",
        problem="K or --context FILE is needed, one of them",
        remedy="write for example: --example 0",
    )


def _example(rows: Mapping[str, Row], number: int) -> Row:
    name = f"{TUNED_ON}-{number}"
    if name not in rows:
        raise SpecError(
            field="--example",
            value=number,
            problem=f"the study has {len(rows)} examples",
            remedy=f"choose one from 0 to {len(rows) - 1}",
        )
    return rows[name]


def context_from(file: Path) -> Row:
    """The row in a JSON file.

    Raises:
        DataError: it can't be read, or holds no object, or what no request can carry.
    """
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
        json.dumps(row, ensure_ascii=False).encode()  # what no text can hold, no request can
    except (OSError, ValueError, RecursionError) as exc:
        raise DataError(
            field="--context",
            value=str(file),
            problem=f"can't be read as JSON ({exc})",
            remedy='write a file such as {"prompt": "..."}',
        ) from exc
    if not isinstance(row, dict):
        raise DataError(
            field="--context",
            value=str(file),
            problem="holds no JSON object",
            remedy='write a file such as {"prompt": "..."}',
        )
    return row


def _rehearsal_note(result: dict[str, Any]) -> list[Text]:
    return [Text(pictures.REHEARSAL, style="bold magenta")] if result["rehearsal"] else []


def _picture(result: dict[str, Any]) -> list[Any]:
    lines: list[Any] = list(_rehearsal_note(result))
    if result["value"] is None:
        return [*lines, "[bold yellow]No example could be scored.[/]"]
    spent = figures.usd(result["budget"]["spent_usd"])
    lines += [
        f"[bold]{result['metric']} {figures.score(result)}[/] "
        f"on {result['examples']} examples that did not tune it",
        f"cost per request {figures.usd(result['inference_cost_usd'])}, spent {spent}",
    ]
    if result["unscored"]:
        lines.append(f"[yellow]{len(result['unscored'])} could not be scored[/]")
    return lines

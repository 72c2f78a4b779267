"""Pictures: a study's outcome, its trials and its lists as tables for people."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bursar.cli import figures

Json = Mapping[str, Any]
FIGURES = ("#", "score", "best", "a request", "draws", "spent")
STATE_STYLES = {"COMPLETE": "green", "PRUNED": "dim", "FAILED": "red", "RUNNING": "cyan"}
REHEARSAL = "REHEARSAL: synthetic answers, no model was asked, no money was spent"


def outcome(
    report: Json, *, inference_limit_usd: float | None, file: Path | None
) -> RenderableType:
    """What a study came to: its configuration, how good it is, what it costs, what was spent."""
    parts: list[RenderableType] = []
    if report["rehearsal"]:
        parts.append(Text(REHEARSAL, style="bold magenta"))
    if report["best"] is None:
        parts.append(Text("No configuration could be recommended.", style="bold yellow"))
    else:
        parts += [Text("Best configuration", style="bold"), parameters(report["config"])]
    parts.append(Text(""))
    parts.append(Padding(_facts(report, inference_limit_usd, file), (0, 0, 0, 2)))
    return Group(*parts)


def parameters(config: Json) -> RenderableType:
    """A configuration, a parameter a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan")
    grid.add_column(overflow="fold")
    for name, found in config.items():
        grid.add_row(name, found if name == "model" else _written(found))
    return Padding(grid, (0, 0, 0, 2))


def _written(found: Any) -> Text:
    return Text(f"{found:.4g}" if isinstance(found, float) else repr(found))


def _facts(report: Json, inference_limit_usd: float | None, file: Path | None) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    best, budget = report["best"], report["budget"]
    if best is not None:
        on = f"on {best['examples']} examples"
        grid.add_row(best["metric"], f"[bold]{figures.score(best)}[/]  [dim]{on}[/]")
        limit = ""
        if inference_limit_usd is not None:
            limit = f"  [dim]limit {figures.usd(inference_limit_usd)}[/]"
        grid.add_row(
            "cost per request", f"[bold]{figures.usd(best['inference_cost_usd'])}[/]{limit}"
        )
    pretended = "  [magenta]pretended: a rehearsal[/]" if report["rehearsal"] else ""
    spent = f"{figures.usd(budget['spent_usd'])} of {figures.usd(budget['limit_usd'])}"
    grid.add_row("money spent", spent + pretended)
    if budget["in_doubt_usd"]:
        grid.add_row("of it in doubt", figures.usd(budget["in_doubt_usd"]))
    add_alarm(grid, budget)
    counts = ", ".join(
        [
            figures.counted(report["trials"], "trial"),
            figures.counted(report["completions_paid"], "completion") + " paid",
        ]
    )
    grid.add_row("search", f"{counts}, {figures.duration(report['wall_seconds'])}")
    add_eval_func_errors(grid, report)
    if report.get("reason"):
        grid.add_row("ended", report["reason"])
    if file is not None:
        grid.add_row("report", Text(str(file), overflow="fold"))
    return grid


def next_steps(steps: Iterable[tuple[str, str]]) -> RenderableType:
    """Commands to go on with, each with what it does."""
    grid = Table.grid(padding=(0, 3))
    grid.add_column(style="bold green", no_wrap=True, overflow="ignore")
    grid.add_column(style="dim")
    for command, what in steps:
        grid.add_row(Text(command), Text(what))
    return Group(Text(""), Text("Go on with", style="bold"), Padding(grid, (0, 0, 0, 2)))


def studies(rows: Iterable[Json]) -> RenderableType:
    """Studies, a line each."""
    table = _table("study", "status", "best", "a request", "spent", "created")
    for row in rows:
        best, budget = row["best"], row["budget"]
        spent = f"{figures.usd(budget['spent_usd'])} of {figures.usd(budget['limit_usd'])}"
        table.add_row(
            row["study"],
            _status(row),
            figures.score(best) if best else "",
            figures.usd(best["inference_cost_usd"]) if best else "",
            spent,
            _time(row["created_at_s"]),
        )
    return table


def study(row: Json) -> RenderableType:
    """One study, a fact a line."""
    best, budget = row["best"], row["budget"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("study", f"[bold]{row['study']}[/]")
    grid.add_row("status", _status(row))
    if best:
        cost = figures.usd(best["inference_cost_usd"])
        grid.add_row(best["metric"], f"{figures.score(best)}  [dim]{cost} a request[/]")
    grid.add_row(
        "money spent", f"{figures.usd(budget['spent_usd'])} of {figures.usd(budget['limit_usd'])}"
    )
    grid.add_row("reserved", figures.usd(budget["reserved_usd"]))
    grid.add_row("in doubt", figures.usd(budget["in_doubt_usd"]))
    add_alarm(grid, budget)
    grid.add_row("trials", str(row["trials"]))
    add_eval_func_errors(grid, row)
    grid.add_row("created", _time(row["created_at_s"]))
    return grid


def add_eval_func_errors(grid: Table, row: Json) -> None:
    """A row where the user's function raised: how often, and one traceback."""
    if found := row.get("eval_func_errors"):
        words = f"on {figures.counted(found['count'], 'evaluation')}, which count for nothing\n"
        text = Text(words, style="yellow")
        evaluation, traceback = next(iter(found["tracebacks"].items()), ("", ""))
        text.append(f"{evaluation}\n{traceback.rstrip()}", style="dim")
        grid.add_row("eval_func raised", text)


def add_alarm(grid: Table, budget: Json) -> None:
    """A row where a bill was above its reservation: the worst case was none, and someone must look."""
    if budget.get("overrun_usd"):
        over = figures.usd(budget["overrun_usd"])
        grid.add_row("[red]ALARM[/]", f"[red]{over} were billed above what was reserved[/]")


def trials(rows: Sequence[Json], *, prompts: Sequence[Any]) -> RenderableType:
    """Trials, a line each, and below them the prompts that they speak of."""
    table = _table("#", "state", "score", "a request", "draws", "configuration")
    for row in rows:
        best, words = row["best"], Text(figures.config(row["config"], prompts=prompts))
        if row["reason"]:
            words.append(f"\n{row['reason']}", style="dim")
        table.add_row(
            str(row["trial"]),
            f"[{STATE_STYLES.get(row['state'], 'default')}]{row['state']}[/]",
            figures.score(best) if best else "",
            figures.usd(best["inference_cost_usd"]) if best else "",
            f"{best['draws']} on {best['examples']}" if best else "",
            words,
        )
    return Group(Text("Trials", style="bold"), table, *_legend(prompts))


def front(report: Json, *, prompts: Sequence[Any]) -> RenderableType:
    """What each step up in quality costs."""
    table = _table("a request", "score", "configuration")
    for row in report.get("pareto_front", ()):
        table.add_row(
            figures.usd(row["inference_cost_usd"]),
            figures.score(row),
            figures.config(row["config"], prompts=prompts),
        )
    return Group(Text(""), Text("Quality against cost", style="bold"), table)


def _legend(prompts: Sequence[Any]) -> list[Text]:
    if len(prompts) < 2:
        return []
    return [
        Text(f"prompt {number}  {figures.value(prompt)}", style="dim", overflow="ellipsis")
        for number, prompt in enumerate(prompts, start=1)
    ]


def answers(texts: Iterable[str]) -> RenderableType:
    """Answers of a model, each under its number."""
    parts: list[RenderableType] = []
    for number, text in enumerate(texts, start=1):
        parts += [Rule(f"answer {number}", align="left", style="dim"), Text(text)]
    return Group(*parts)


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in names:
        figure = name in FIGURES
        table.add_column(name, justify="right" if figure else "left", no_wrap=figure)
    return table


def _status(row: Json) -> str:
    colours = {"complete": "green", "running": "cyan", "stopping": "yellow", "failed": "red"}
    status = row["status"]
    kind = " [magenta](rehearsal)[/]" if row["rehearsal"] else ""
    return f"[{colours.get(status, 'yellow')}]{status}[/]{kind}"


def _time(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")

"""`bursar doctor`: whether this machine has what a study needs."""

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from bursar.cli import screen
from bursar.cli.app import Json, app
from bursar.cli.reported import reported
from bursar.doctor import Finding, examine
from bursar.home import Home
from study.errors import InfrastructureError


@app.command()
@reported
def doctor(as_json: Json = False) -> None:
    """Check Python, packages, key, Redis, workers, engine and sandbox on this machine."""
    findings = list(examine(Home()))
    failing = [finding.check for finding in findings if finding.essential and not finding.ok]
    shown = {"ok": not failing, "checks": [vars(finding) for finding in findings]}
    screen.show(shown, _picture(findings), as_json=as_json)
    if failing:
        names = ", ".join(failing)
        screen.notes().print(f"[bold red]Not well:[/] {names}", soft_wrap=True)
        raise typer.Exit(InfrastructureError.exit_code)


def _picture(findings: list[Finding]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in ("", "check", "detail"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[bold red]FAIL[/]"
        if not finding.ok and not finding.essential:
            mark = "[yellow]note[/]"
        table.add_row(mark, finding.check, Text(finding.detail))
    return table

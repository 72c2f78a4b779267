"""`bursar tune`, `rehearse` and `resume`: a study from its start, or from where it was left, to its end."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bursar import credentials, study_file
from bursar.cli import figures, pictures, screen
from bursar.cli.app import Json, StudyFile, StudyId, app, studies_here
from bursar.cli.meter import Meter
from bursar.cli.reported import reported
from bursar.cluster import Cluster, reach
from bursar.home import Home
from bursar.interruption import stopped_by_signals
from bursar.log_file import log_to_file
from coordinator.data import load_examples
from study.errors import SpecError
from study.spec import StudySpec
from study.studies import Purpose, Source, Studies, StudyRecord

if TYPE_CHECKING:  # what stands beside the search takes seconds to load
    from bursar.sitting import Watcher


@app.command()
@reported
def tune(study_toml: StudyFile, as_json: Json = False) -> None:
    """Find the best configuration under both budgets."""
    spec = study_file.read(study_toml)
    home = Home()
    with reach(home) as cluster:
        if cluster.is_local:
            credentials.check(spec.endpoint)  # before data is loaded, which may take long
        report = _run(cluster, spec, Source.MODEL)
    _conclude(report, spec, home, as_json=as_json, study_toml=study_toml)


@app.command()
@reported
def rehearse(study_toml: StudyFile, as_json: Json = False) -> None:
    """Run the very same path against synthetic answers: no key, no cost; forecasts the bill."""
    spec = study_file.read(study_toml)
    home = Home()
    with reach(home) as cluster:
        report = _run(cluster, spec, Source.REHEARSAL)
    _conclude(report, spec, home, as_json=as_json, study_toml=study_toml)


@app.command()
@reported
def resume(study: StudyId, as_json: Json = False) -> None:
    """Go on with a study that was interrupted or failed; nothing is paid for twice."""
    home = Home()
    with studies_here(study) as cluster:
        record = Studies(cluster.client).load(study)
        if record.scored_by_coordinator:
            raise SpecError(
                field="study",
                value=study,
                problem="its metric is a function in the Python program that made it",
                remedy="resume it from there; or give eval_func as 'package.module:function'",
            )
        if record.purpose is Purpose.TEST:
            raise SpecError(
                field="study",
                value=study,
                problem="is a test of a configuration, which is not resumed",
                remedy="call `bursar test` on the study itself again",
            )
        from bursar import sitting

        log_to_file(home)
        rows = list(Studies(cluster.client).examples(study).items())
        with watching("resuming") as watcher:
            report = sitting.resume(record, rows, cluster=cluster, watcher=watcher)
    _conclude(report, record.spec, home, as_json=as_json, study_toml=None)


def _run(cluster: Cluster, spec: StudySpec, source: Source) -> dict[str, Any]:
    from bursar import sitting

    examples = load_examples(spec.data)
    log_to_file(cluster.home)
    with watching("tuning") as watcher:
        return sitting.tune(spec, examples, cluster=cluster, source=source, watcher=watcher)


@contextmanager
def watching(what: str) -> Iterator["Watcher"]:
    """Show progress, and let Ctrl-C end the study in order."""
    from bursar.sitting import Watcher

    with Meter(what=what) as meter:

        def on_first_signal() -> None:
            meter.say("stopping: what runs may finish; Ctrl-C again leaves at once")

        with stopped_by_signals(on_first_signal) as stop:
            try:
                yield Watcher(
                    stop=stop,
                    on_start=meter.start,
                    on_progress=meter.progress,
                    on_warning=lambda words: meter.say(words, style="bold red"),
                )
            except Exception as exc:
                if meter.study is not None:
                    exc.add_note(how_to_go_on(meter.study))
                raise


def how_to_go_on(record: StudyRecord) -> str:
    """What to do about a study that was cut off."""
    if record.purpose is Purpose.TEST:
        return "`bursar test` can be called again"
    return f"`bursar resume {record.id}` goes on from there"


def _conclude(
    report: dict[str, Any],
    spec: StudySpec,
    home: Home,
    *,
    as_json: bool,
    study_toml: Path | None,
) -> None:
    """Keep the report in a file, and write the outcome with what can be done next."""
    file = home.save_report(report["study"], report)
    if report["rehearsal"]:
        report = {**report, "forecast": {"bill_usd": report["budget"]["spent_usd"]}}
    if as_json:
        screen.show(report, as_json=True)
        return
    picture = pictures.outcome(report, inference_limit_usd=spec.budget.inference_usd, file=file)
    screen.show(report, picture, *_forecast(report), _next(report, study_toml), as_json=False)


def _forecast(report: dict[str, Any]) -> list[str]:
    if not report["rehearsal"]:
        return []
    bill, limit = report["forecast"]["bill_usd"], report["budget"]["limit_usd"]
    return [
        f"\n[bold]Forecast[/]  a real run would be billed about {figures.usd(bill)}, and never more "
        f"than {figures.usd(limit)}. Real scores will differ: these answers were synthetic."
    ]


def _next(report: dict[str, Any], study_toml: Path | None) -> Any:
    study, command = report["study"], called_as()
    steps = []
    if report["rehearsal"] and study_toml is not None:
        real = f"OPENAI_API_KEY=... {command} tune {shlex.quote(str(study_toml))}"
        steps.append((real, "the same for real"))
    if report["best"] is not None:
        steps += [
            (f"{command} test {study}", "score it on the held-out examples"),
            (f"{command} complete {study} --example 0", "ask it for an answer"),
        ]
    steps.append((f"{command} report {study}", "quality against cost, and all trials"))
    return pictures.next_steps(steps)


def called_as() -> str:
    """How the user calls this command: by its name, or by its path where the name is not on PATH."""
    own = Path(sys.argv[0])
    on_path = shutil.which("bursar")
    if on_path is not None and Path(on_path).resolve() == own.resolve():
        return "bursar"
    if own.name != "bursar":
        return "bursar"
    return os.path.relpath(own) if own.resolve().is_relative_to(Path.cwd()) else str(own)

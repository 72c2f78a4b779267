"""`bursar list`, `status`, `trials`, `best`, `report`: what is known of studies; nothing is changed."""

from typing import Any

from bursar.cli import pictures, screen
from bursar.cli.app import Json, StudyId, app, studies_here
from bursar.cli.reported import reported
from bursar.cluster import Cluster, has_studies
from bursar.configs import prompts_of
from bursar.home import Home
from coordinator.report import study_row, trial_row
from study.errors import SpecError
from study.studies import Studies, StudyStatus

NOTHING_YET = "No studies here yet. Begin with: bursar rehearse STUDY.toml"


@app.command(name="list")
@reported
def list_studies(as_json: Json = False) -> None:
    """All studies, newest first."""
    rows: list[dict[str, Any]] = []
    if has_studies(Home()):
        with studies_here() as cluster:
            studies = Studies(cluster.client)
            rows = [_row(cluster, study) for study in studies.ids()]
    picture = pictures.studies(rows) if rows else NOTHING_YET
    screen.show({"studies": rows}, picture, as_json=as_json)


@app.command()
@reported
def status(study: StudyId, as_json: Json = False) -> None:
    """Where a study stands."""
    with studies_here(study) as cluster:
        row = _row(cluster, study)
    screen.show(row, pictures.study(row), as_json=as_json)


@app.command()
@reported
def trials(study: StudyId, as_json: Json = False) -> None:
    """Every trial of a study, with what is believed of it."""
    with studies_here(study) as cluster:
        studies = Studies(cluster.client)
        spec = studies.load(study).spec
        rows = [trial_row(spec, trial) for trial in studies.trials(study)]
    picture = pictures.trials(rows, prompts=prompts_of(spec))
    screen.show({"study": study, "trials": rows}, picture, as_json=as_json)


@app.command()
@reported
def best(study: StudyId, as_json: Json = False) -> None:
    """The configuration that a study recommends."""
    with studies_here(study) as cluster:
        studies = Studies(cluster.client)
        spec, found = studies.load(study).spec, last_report(studies, study)
    shown = {name: found[name] for name in ("study", "config", "best", "rehearsal")}
    limit = spec.budget.inference_usd
    picture = pictures.outcome(found, inference_limit_usd=limit, file=None)
    screen.show(shown, picture, as_json=as_json)


@app.command()
@reported
def report(study: StudyId, as_json: Json = False) -> None:
    """What a study came to: the outcome, quality against cost, every trial."""
    with studies_here(study) as cluster:
        studies = Studies(cluster.client)
        spec = studies.load(study).spec
        found = last_report(studies, study)
        rows = [trial_row(spec, trial) for trial in studies.trials(study)]
    screen.show(
        {**found, "trials_table": rows},
        pictures.outcome(found, inference_limit_usd=spec.budget.inference_usd, file=None),
        pictures.front(found, prompts=prompts_of(spec)),
        pictures.trials(rows, prompts=prompts_of(spec)),
        as_json=as_json,
    )


def _row(cluster: Cluster, study: str) -> dict[str, Any]:
    """A study in one line; one that its coordinator left without a word is interrupted."""
    row = study_row(cluster.client, study)
    if row["status"] in (StudyStatus.RUNNING, StudyStatus.STOPPING) and not row["driven"]:
        row["status"] = StudyStatus.INTERRUPTED.value
    return row


def last_report(studies: Studies, study: str) -> dict[str, Any]:
    """The report of a study.

    Raises:
        UnknownStudy: there is no such study.
        SpecError: it has none yet.
    """
    studies.status(study)
    found = studies.report(study)
    if found is None:
        raise SpecError(
            field="study",
            value=study,
            problem="has no report yet",
            remedy=f"wait for its end (`bursar status {study}`), or `bursar resume {study}`",
        )
    return found

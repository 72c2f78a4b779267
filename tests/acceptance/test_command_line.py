"""The installed command, as its user runs it: in a folder of their own, against the rehearsal endpoint."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bursar.local_workers import STOP_TIMEOUT_S

pytestmark = [pytest.mark.docker, pytest.mark.slow]

BURSAR = Path(sys.executable).parent / "bursar"
STUDY = """
name = "tiny"
[data]
path = "rows.jsonl"
tune_size = {tune_size}
[budget]
optimization_usd = 0.2
inference_usd = 0.01
trials = {trials}
[space]
model = ["gpt-5.4-nano", "gpt-5.4-mini"]
prompt = ["{{prompt}}", "Complete this function.\\n\\n{{prompt}}"]
max_tokens = {{low = 200, high = 400}}
n = {{low = 1, high = 3}}
[limits]
concurrency = {concurrency}
"""
CONTRACT = {
    "study", "status", "config", "best", "budget", "trials", "completions_paid", "wall_seconds",
}  # fmt: skip
SECONDS = 240

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    """Ours, without what would make the command do something else."""
    unwanted = ("BURSAR_REDIS_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "BURSAR_DEBUG", "COLUMNS")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def in_folder(folder: Path) -> Run:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(BURSAR), *arguments],
            cwd=folder,
            env=environment() | more,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    return run


def write_study(
    folder: Path, repository: Path, *, tune_size: int = 4, trials: int = 2, concurrency: int = 8
) -> None:
    rows = (repository / "examples" / "starter.jsonl").read_text().splitlines()[:12]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    text = STUDY.format(tune_size=tune_size, trials=trials, concurrency=concurrency)
    (folder / "tiny.toml").write_text(text)


def nothing_runs_in(folder: Path) -> bool:
    """Whether neither Redis nor workers of a folder are left."""
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    port = re.search(r":(\d+)/", (folder / ".bursar" / "redis" / "url").read_text())
    assert port is not None
    with socket.socket() as probe:
        refused = probe.connect_ex(("127.0.0.1", int(port[1]))) != 0
    return refused and str(folder) not in found.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    path = tmp_path_factory.mktemp("user")
    write_study(path, repository)
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return in_folder(folder)


@pytest.fixture(scope="module")
def rehearsed(run: Run) -> tuple[dict[str, Any], str]:
    """A rehearsed study's report, and what went to standard error meanwhile."""
    done = run("rehearse", "tiny.toml", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def study(rehearsed: tuple[dict[str, Any], str]) -> str:
    return str(rehearsed[0]["study"])


def test_rehearse_ends_with_the_promised_object(
    rehearsed: tuple[dict[str, Any], str], folder: Path
) -> None:
    report, notes = rehearsed
    assert set(report) >= CONTRACT
    assert report["status"] == "complete"
    assert set(report["best"]) >= {
        "metric", "value", "std_error", "inference_cost_usd", "examples",
    }  # fmt: skip
    assert set(report["budget"]) >= {"limit_usd", "spent_usd", "reserved_usd", "in_doubt_usd"}
    assert report["config"]["model"] in ("gpt-5.4-nano", "gpt-5.4-mini")
    assert 0 < report["budget"]["spent_usd"] <= report["budget"]["limit_usd"]
    assert report["budget"]["reserved_usd"] == 0
    assert report["rehearsal"] is True
    assert report["forecast"]["bill_usd"] == report["budget"]["spent_usd"]
    assert "rehearsal: no model is asked, no money spent" in notes
    saved = json.loads((folder / ".bursar" / "reports" / f"{report['study']}.json").read_text())
    assert saved["config"] == report["config"]


def test_nothing_is_left_running_afterwards(study: str, folder: Path) -> None:
    assert nothing_runs_in(folder)


def test_the_same_study_is_read_in_every_way(
    run: Run, study: str, rehearsed: tuple[dict[str, Any], str]
) -> None:
    report, _ = rehearsed
    (listed,) = json.loads(run("list", "--json").stdout)["studies"]
    assert (listed["study"], listed["status"], listed["rehearsal"]) == (study, "complete", True)
    assert json.loads(run("status", study, "--json").stdout)["budget"] == report["budget"]
    assert json.loads(run("best", study, "--json").stdout)["config"] == report["config"]
    trials = json.loads(run("trials", study, "--json").stdout)["trials"]
    assert len(trials) == report["trials"] == 2
    shown = json.loads(run("report", study, "--json").stdout)
    assert shown["best"] == report["best"]
    assert json.loads(run("budget", "show", study, "--json").stdout)["spent_usd"] > 0


def test_people_read_tables(run: Run, study: str) -> None:
    report = run("report", study)
    for words in ("REHEARSAL", "Best configuration", "cost per request", "Quality against cost"):
        assert words in report.stdout
    assert study in run("list").stdout
    assert "±" in run("status", study).stdout
    assert report.stderr == ""


def test_the_best_configuration_is_scored_on_held_out_rows(run: Run, study: str) -> None:
    done = run("test", study, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["examples"] == 8
    assert 0 <= result["value"] <= 1
    assert result["std_error"] >= 0
    assert result["rehearsal"] is True
    assert 0 < result["budget"]["spent_usd"] <= result["budget"]["limit_usd"]
    assert len(json.loads(run("list", "--json").stdout)["studies"]) == 2


def test_the_best_configuration_answers(run: Run, study: str, folder: Path) -> None:
    done = run("complete", study, "--example", "1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["answers"]) == result["config"]["n"]
    assert result["cost_usd"] > 0
    row = json.loads((folder / "rows.jsonl").read_text().splitlines()[7])
    (folder / "context.json").write_text(json.dumps(row))
    done = run("complete", study, "--context", "context.json")
    assert done.returncode == 0, done.stderr
    assert "answer 1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["complete"], "--example K or --context FILE"),
        (["complete", "--example", "99"], "the study has 4 examples"),
        (["complete", "--context", "nothing.json"], "nothing.json"),
        (["test", "--split", "nothing"], "a local file has no splits"),
        (["test", "--limit-usd", "-1"], "--limit-usd"),
    ],
)
def test_a_wrong_use_is_exit_code_2_with_a_remedy(
    run: Run, study: str, arguments: list[str], words: str
) -> None:
    done = run(arguments[0], study, *arguments[1:])
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stdout == ""


def test_a_budget_is_raised_by_one_command_and_lowered_by_another(run: Run, study: str) -> None:
    raised = json.loads(run("budget", "raise", study, "0.75", "--json").stdout)
    assert raised["limit_usd"] == 0.75
    for wrong in (["raise", study, "0.5"], ["lower", study, "1"]):
        refused = run("budget", *wrong)
        assert refused.returncode == 2
        assert "$0.75" in refused.stderr
    lowered = json.loads(run("budget", "lower", study, "0.000001", "--json").stdout)
    assert lowered["limit_usd"] == 0.000001 < lowered["spent_usd"]


def test_the_fleets_budget_is_set_and_lowered_without_a_study(run: Run, study: str) -> None:
    assert study
    assert json.loads(run("budget", "lower", "5", "--json").stdout)["limit_usd"] == 5
    assert json.loads(run("budget", "lower", "4", "--json").stdout)["limit_usd"] == 4
    assert json.loads(run("budget", "show", "--json").stdout)["limit_usd"] == 4


def test_stopping_what_does_not_run_says_so(run: Run, study: str) -> None:
    assert json.loads(run("stop", study, "--json").stdout) == {"study": study, "stopping": False}


def test_the_doctor_finds_this_machine_well(run: Run, study: str) -> None:
    done = run("doctor", "--json")
    assert done.returncode == 0, done.stdout
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["redis durable"]["ok"]
    assert checks["sandbox: engine"]["ok"]
    assert not checks["key"]["ok"]


def test_the_doctor_never_shows_a_key_and_says_what_fails(run: Run) -> None:
    done = run("doctor", OPENAI_API_KEY="canary-123", DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == 4
    assert "canary" not in done.stdout + done.stderr
    assert "sandbox: engine" in done.stderr


def test_without_an_engine_a_rehearsal_runs_plain_processes_and_says_so_loudly(
    tmp_path: Path, repository: Path
) -> None:
    write_study(tmp_path, repository, tune_size=2, trials=1)
    done = in_folder(tmp_path)("rehearse", "tiny.toml", "--json", DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert "NO CONTAINERS" in done.stderr
    assert json.loads(done.stdout)["best"]["examples"] == 2


@pytest.fixture
def running(tmp_path: Path, repository: Path) -> Iterator[tuple[subprocess.Popen[str], str, Run]]:
    """A study that has bought something and has more to do: its process, its id, its folder's command."""
    write_study(tmp_path, repository, tune_size=6, trials=4, concurrency=3)
    with subprocess.Popen(
        [str(BURSAR), "rehearse", "tiny.toml", "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        study = ""
        for line in process.stderr:
            if found := re.search(r"tiny-[0-9a-f]{8}", line):
                study = found[0]
            if re.search(r"  [1-9][0-9,]* completions  ", line):
                break
        assert study
        yield process, study, in_folder(tmp_path)
        if process.poll() is None:  # in order, so that its folder's Redis ends too
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SECONDS)


def test_ctrl_c_ends_in_order_and_resume_goes_on(
    running: tuple[subprocess.Popen[str], str, Run],
) -> None:
    process, study, run = running
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert f"bursar resume {study}" in stderr
    assert json.loads(stdout)["error"]["type"] == "Interrupted"
    status = json.loads(run("status", study, "--json").stdout)
    assert status["status"] == "interrupted"
    assert status["budget"]["reserved_usd"] == 0
    resumed = run("resume", study, "--json")
    assert resumed.returncode == 0, resumed.stderr
    report = json.loads(resumed.stdout)
    assert report["study"] == study
    assert report["status"] == "complete"
    assert report["budget"]["spent_usd"] > status["budget"]["spent_usd"]


def test_stop_from_another_process_ends_in_order(
    running: tuple[subprocess.Popen[str], str, Run],
) -> None:
    process, study, run = running
    assert json.loads(run("stop", study, "--json").stdout)["stopping"] is True
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert f"bursar resume {study}" in stderr


def test_a_limit_lowered_below_what_is_spent_ends_a_running_study(
    running: tuple[subprocess.Popen[str], str, Run],
) -> None:
    process, study, run = running
    lowered = json.loads(run("budget", "lower", study, "0.000001", "--json").stdout)
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, stderr
    report = json.loads(stdout)
    assert report["reason"] == "the budget cannot pay for another evaluation"
    # What was out may still have been billed, and nothing after it.
    assert report["budget"]["spent_usd"] <= lowered["spent_usd"] + lowered["reserved_usd"] + 1e-9
    assert report["budget"]["reserved_usd"] == 0


def test_a_second_ctrl_c_leaves_at_once(
    running: tuple[subprocess.Popen[str], str, Run], tmp_path: Path
) -> None:
    process, _, _ = running
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "Ctrl-C again leaves at once" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=STOP_TIMEOUT_S)
    assert process.returncode == 130
    assert nothing_runs_in(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_redis_starts_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path, repository: Path
) -> None:
    write_study(tmp_path, repository)
    with subprocess.Popen(
        [str(BURSAR), "rehearse", "tiny.toml"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (tmp_path / ".bursar" / "redis" / "url").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert stderr.count("\n") == 1
    assert "Interrupted" in stderr
    assert nothing_runs_in(tmp_path)


def test_two_coordinators_cannot_drive_one_study(
    running: tuple[subprocess.Popen[str], str, Run],
) -> None:
    _, study, run = running
    second = run("resume", study, "--json")
    assert second.returncode == 4
    assert json.loads(second.stdout)["error"]["type"] in ("StudyBusy", "InfrastructureError")

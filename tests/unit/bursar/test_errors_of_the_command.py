"""The command's errors: a message that says what to do, the exit code of its kind, no traceback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
import typer
from typer.testing import CliRunner, Result

from bursar import evaluator
from bursar.cli import commands
from bursar.cli.commands import app
from bursar.cli.reported import reported, translated
from bursar.cli.using import context_from
from bursar.cluster import reach
from bursar.home import Home
from bursar.study_file import read
from coordinator.data import Examples
from coordinator.start import start_study
from sandbox import SandboxError
from study import keys
from study.errors import (
    BudgetTooSmall,
    CredentialsError,
    DataError,
    InfrastructureError,
    Interrupted,
    SpecError,
    StudyBusy,
    UnknownStudy,
)
from study.ledger import Ledger
from study.studies import Source, Studies, StudyStatus

STUDY = """
name = "x"
[data]
path = "rows.jsonl"
tune_size = 1
[budget]
optimization_usd = {budget}
inference_usd = 0.1
[space]
model = ["{model}"]
{space}
"""
ROW = {"prompt": "def f():\n", "entry_point": "f", "test": "def check(f): pass"}


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert "Traceback" not in result.output
    return result


def study_file(
    *, budget: float = 1.0, model: str = "gpt-5.4-nano", space: str = "", row: Any = ROW
) -> str:
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    Path("x.toml").write_text(STUDY.format(budget=budget, model=model, space=space))
    return "x.toml"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": "prompt = []"}, ["space.prompt", "[]"]),
        ({"space": "colour = 3\ntemprature = 1"}, ["space.temprature", "temperature"]),
        ({"space": "temperature = 1\ntop_p = 1"}, ["temperature", "top_p"]),
        ({"model": "text-davinci-9"}, ["space.model", "text-davinci-9", "[[price]]"]),
        ({"space": 'prompt = "{question}"'}, ["question", "tune-0", "entry_point, prompt, test"]),
        ({"row": {"prompt": "x"}}, ["python_tests", "entry_point"]),
        ({"budget": -1}, ["budget.optimization_usd", "-1"]),
    ],
)
def test_a_wrong_study_names_field_value_and_remedy(changes: Any, words: list[str]) -> None:
    result = run("rehearse", study_file(**changes))
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", ["not TOML"]),
        ("colour = 3", ["name"]),
        ('name = "x"\n[budget]\noptimization_usd = "1"', ["data"]),
    ],
)
def test_a_file_that_is_no_study_is_said_to_be_none(text: str, words: list[str]) -> None:
    Path("x.toml").write_text(text)
    result = run("tune", "x.toml")
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr


def test_data_that_is_not_there_is_named() -> None:
    name = study_file()
    Path("rows.jsonl").unlink()
    result = run("rehearse", name)
    assert result.exit_code == 2
    assert "data.path" in result.stderr
    assert "rows.jsonl" in result.stderr


def test_a_budget_that_pays_for_nothing_is_exit_code_3() -> None:
    result = run("rehearse", study_file(budget=0.00001), "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"]["type"] == "BudgetTooSmall"


def test_without_a_key_nothing_starts_and_rehearse_is_named() -> None:
    result = run("tune", study_file())
    assert result.exit_code == 4
    assert "OPENAI_API_KEY is not set" in result.stderr
    assert "bursar rehearse" in result.stderr


def test_a_redis_that_is_not_there_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BURSAR_REDIS_URL", "redis://:sesame@127.0.0.1:1/0")
    result = run("list")
    assert result.exit_code == 4
    assert "redis://127.0.0.1:1/0" in result.stderr
    assert "sesame" not in result.output


@pytest.mark.parametrize(
    "command", ["status", "trials", "best", "report", "resume", "stop", "test", "forget"]
)
def test_a_study_that_is_not_there_is_exit_code_2(command: str) -> None:
    result = run(command, "nothing-1234")
    assert result.exit_code == 2
    assert "nothing-1234" in result.stderr
    assert not Path(".bursar").exists()  # to look for a study starts no Redis


@pytest.mark.parametrize(
    "command", ["status", "trials", "best", "report", "resume", "stop", "test", "complete"]
)
def test_an_id_that_is_not_utf_8_is_no_study(command: str) -> None:
    (Path(".bursar") / "redis").mkdir(parents=True)
    (Path(".bursar") / "redis" / "url").touch()  # as if studies had been made here
    result = run(command, "\udcff")
    assert result.exit_code == 2
    assert "there is no study" in result.stderr


def test_a_study_that_nobody_drives_is_interrupted() -> None:
    spec = read(Path(study_file()))
    with reach(Home()) as cluster:
        examples = Examples(tune=(("tune-0", ROW),), held_out=())
        record = start_study(spec, examples, client=cluster.client, source=Source.REHEARSAL)
        (listed,) = json.loads(run("list", "--json").stdout)["studies"]
        assert (listed["status"], listed["driven"]) == ("interrupted", False)
        cluster.client.set(keys.lease(record.id), "somebody")
        assert json.loads(run("status", record.id, "--json").stdout)["status"] == "running"


def test_a_study_is_forgotten_by_name_or_by_age_and_not_by_chance() -> None:
    spec = read(Path(study_file()))
    with reach(Home()) as cluster:
        examples = Examples(tune=(("tune-0", ROW),), held_out=())
        ids = [
            start_study(spec, examples, client=cluster.client, source=Source.REHEARSAL).id
            for _ in range(3)
        ]
        refused = run("forget", ids[0])
        assert refused.exit_code == 2
        assert "--unfinished" in refused.stderr
        nothing = run("forget")
        assert nothing.exit_code == 2
        assert "--older-than" in nothing.stderr
        assert run("forget", ids[0], "--unfinished").exit_code == 0
        assert Studies(cluster.client).ids() == [ids[2], ids[1]]
        Studies(cluster.client).set_status(ids[1], StudyStatus.COMPLETE)
        for options, left in ((["--dry-run"], ids[1:]), ([], ids[2:])):
            told = json.loads(run("forget", "--older-than", "0", "--json", *options).stdout)
            assert [row["study"] for row in told["forgotten"]] == [ids[1]]
            assert sorted(Studies(cluster.client).ids()) == sorted(left)
        assert "Nothing to forget" in run("forget", "--older-than", "1").stdout


def test_old_entries_of_the_fleets_journal_are_summed_up() -> None:
    with reach(Home()) as cluster:
        ledger = Ledger(cluster.client)
        ledger.open("s", limit=100)
        ledger.reserve("s", "a", 60)
        assert "No entry is older" in run("budget", "sum-up", "--older-than", "1").stdout
        told = json.loads(run("budget", "sum-up", "--older-than", "0", "--json").stdout)
        assert told["summed_up"] == 1
        assert told["budget"]["reserved_usd"] == 60e-9
        assert [m.reserved for m in ledger.journal(keys.FLEET_ACCOUNT)] == [0, 60]
        for days in ("-1", "nan", "inf", "soon"):
            assert run("budget", "sum-up", "--older-than", days).exit_code == 2


@pytest.mark.parametrize("text", ["[" * 100_000, '{"prompt": "\\ud800"}', "[]", "{"])
def test_a_context_that_no_request_can_carry_is_named(text: str) -> None:
    Path("context.json").write_text(text)
    with pytest.raises(DataError, match=r"--context = 'context\.json'"):
        context_from(Path("context.json"))


def test_an_evaluator_that_cannot_be_imported_is_found_before_the_start() -> None:
    name = study_file()
    with Path(name).open("a") as file:
        file.write('[metric]\nname = "x"\nevaluator = "nowhere.judge:score"\n')
    result = run("rehearse", name)
    assert result.exit_code == 2
    assert "metric.evaluator = 'nowhere.judge:score'" in result.stderr
    assert "No module named 'nowhere'" in result.stderr


def test_an_evaluator_in_this_folder_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    Path("judge_of_a_test.py").write_text("print('hello')\ndef score(answers, **row): return {}\n")
    evaluator.check("judge_of_a_test:score")
    assert capsys.readouterr().out == ""


def test_a_lost_redis_names_how_the_study_goes_on() -> None:
    lost = redis.ConnectionError("gone")
    lost.add_note("`bursar resume x-1` goes on from there")
    assert "bursar resume x-1" in str(translated(lost))
    assert "bursar list" in str(translated(redis.ConnectionError("gone")))


def test_a_folder_without_studies_says_how_to_begin() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "bursar rehearse" in result.stdout
    assert json.loads(run("list", "--json").stdout) == {"studies": []}


def test_an_unknown_option_is_exit_code_2() -> None:
    assert run("list", "--colour").exit_code == 2


@pytest.mark.parametrize("arguments", [["list", "--colour"], ["tune"], ["nothing"], ["budget"]])
def test_a_wrong_command_line_is_an_object_too_with_json(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bursar", *arguments, "--json"])
    with pytest.raises(SystemExit) as end:
        commands.run()
    assert end.value.code == 2
    written = capsys.readouterr()
    error = json.loads(written.out)["error"]
    assert (error["type"], error["exit_code"]) == ("UsageError", 2)
    assert error["message"]
    assert written.err


@pytest.mark.parametrize(
    ("error", "exit_code", "kind"),
    [
        (SpecError(field="a", value=1, problem="b", remedy="c"), 2, "SpecError"),
        (UnknownStudy("x"), 2, "UnknownStudy"),
        (BudgetTooSmall("x"), 3, "BudgetTooSmall"),
        (InfrastructureError("x"), 4, "InfrastructureError"),
        (StudyBusy("x"), 4, "StudyBusy"),
        (CredentialsError("x"), 4, "CredentialsError"),
        (Interrupted("x"), 130, "Interrupted"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (redis.ConnectionError("gone"), 4, "InfrastructureError"),
        (redis.AuthenticationError("no"), 4, "InfrastructureError"),
        (SandboxError("no engine"), 4, "InfrastructureError"),
        (ZeroDivisionError("oh"), 4, "Unexpected"),
    ],
)
def test_every_error_has_an_exit_code_and_a_kind(
    error: BaseException, exit_code: int, kind: str
) -> None:
    def command(as_json: bool = False) -> None:
        raise error

    failing = typer.Typer()
    failing.command()(reported(command))
    result = CliRunner().invoke(failing, ["--as-json"])
    assert result.exit_code == exit_code
    shown = json.loads(result.stdout)["error"]
    assert (shown["type"], shown["exit_code"]) == (kind, exit_code)
    assert "Traceback" not in result.stderr


def test_what_nobody_foresaw_leaves_its_traceback_in_the_log() -> None:
    def command(as_json: bool = False) -> None:
        raise ZeroDivisionError("oh")

    failing = typer.Typer()
    failing.command()(reported(command))
    result = CliRunner().invoke(failing, [])
    assert result.stderr.count("\n") == 1
    assert ".bursar/logs/bursar.log" in result.stderr
    assert "ZeroDivisionError: oh" in Path(".bursar/logs/bursar.log").read_text()


def test_a_brackets_in_a_message_are_not_markup() -> None:
    def command(as_json: bool = False) -> None:
        raise InfrastructureError("add [[price]] or [/bold]")

    failing = typer.Typer()
    failing.command()(reported(command))
    assert "add [[price]] or [/bold]" in CliRunner().invoke(failing, []).stderr

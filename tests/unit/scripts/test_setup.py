"""The set-up as a whole: its lock, what it tells the recipes, and how it ends."""

import fcntl
import subprocess
import threading

import pytest

from scripts import setup
from scripts.step import SetupError


def test_the_environment_reaches_the_shell_as_it_is(tmp_path):
    note = 'none: it\'s "$HOME" and `date`'
    setup.write_environment(tmp_path / "env", {"BURSAR_NO_ENGINE": "1", "BURSAR_UNTESTED": note})
    sourced = (
        'set -a; . ./env; exec sh -c \'printf "%s|%s" "$BURSAR_NO_ENGINE" "$BURSAR_UNTESTED"\''
    )
    shown = subprocess.run(
        ["sh", "-c", sourced], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"1|{note}"


def test_each_run_writes_the_environment_afresh(tmp_path):
    setup.write_environment(tmp_path / "env", {"BURSAR_NO_ENGINE": "1"})
    setup.write_environment(tmp_path / "env", {})
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("env", "")]


def test_without_an_engine_there_is_no_compose_and_the_cause_is_kept_to_a_line():
    environment = setup.environment_without("BURSAR_NO_ENGINE", "containers", "no dockerd\nlog")
    assert environment["BURSAR_NO_ENGINE"] == environment["BURSAR_NO_COMPOSE"] == "1"
    assert environment["BURSAR_UNTESTED"].startswith("NOT TESTED: containers (no dockerd).")


def test_without_compose_the_engine_stays():
    environment = setup.environment_without("BURSAR_NO_COMPOSE", "compose.yaml", "none")
    assert "BURSAR_NO_ENGINE" not in environment


def test_a_second_set_up_waits_for_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    entered = threading.Event()

    def second() -> None:
        with setup.one_at_a_time(tmp_path):
            entered.set()

    with (tmp_path / "setup.lock").open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    waiting.join(5)


@pytest.mark.parametrize(
    ("raised", "exit_code", "said"),
    [
        (SetupError("Install python3-venv."), 4, "Set-up stopped. Install python3-venv."),
        (PermissionError(13, "Permission denied", ".venv"), 4, "Permission denied: '.venv'"),
        (KeyboardInterrupt(), 130, "Set-up interrupted"),
    ],
)
def test_it_ends_with_a_sentence_and_an_exit_code(
    tmp_path, monkeypatch, capsys, raised, exit_code, said
):
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "set_up", fail)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["setup"])
    monkeypatch.chdir(tmp_path)
    assert setup.main() == exit_code
    assert said in capsys.readouterr().err


def test_all_that_is_missing_is_named_at_the_end():
    missing = [
        setup.environment_without("BURSAR_NO_REDIS_7", "Redis 7.0", "no Redis 7.0: none"),
        setup.environment_without("BURSAR_NO_ENGINE", "containers", "no dockerd"),
    ]
    environment = setup.together(missing)
    assert environment["BURSAR_NO_REDIS_7"] == environment["BURSAR_NO_ENGINE"] == "1"
    assert environment["BURSAR_UNTESTED"].splitlines() == [w["BURSAR_UNTESTED"] for w in missing]
    assert setup.together([]) == {}

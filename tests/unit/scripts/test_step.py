"""Long commands: what is shown while they run, and what is said when they fail."""

import pytest

from scripts import step
from scripts.step import CommandFailedError, run_logged


def test_a_failed_commands_last_lines_are_in_the_message_and_no_earlier_ones(tmp_path):
    log = tmp_path / "log"
    run_logged(["echo", "earlier"], name="test", log=log, timeout_s=10)
    with pytest.raises(CommandFailedError) as failed:
        run_logged(["sh", "-c", "echo the cause; exit 7"], name="test", log=log, timeout_s=10)
    assert "exit code 7" in str(failed.value)
    assert str(failed.value).endswith("\n    the cause")
    assert "earlier" in log.read_text()


def test_a_command_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(CommandFailedError, match="longer than 0 s"):
        run_logged(["sleep", "60"], name="test", log=tmp_path / "log", timeout_s=0.1)


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandFailedError, match="no-such-program can't be run"):
        run_logged(["no-such-program"], name="test", log=tmp_path / "log", timeout_s=1)


def test_a_long_command_shows_that_it_is_alive(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(step, "ALIVE_EVERY_S", 0.05)
    run_logged(["sleep", "0.2"], name="python", log=tmp_path / "log", timeout_s=10)
    assert "python   still at work after 0 s ..." in capsys.readouterr().out


def test_a_step_prints_what_it_found_and_how_long_it_took(capsys):
    assert step.report("redis", lambda: "redis-server 7.0.15") == "redis-server 7.0.15"
    assert capsys.readouterr().out == "redis    redis-server 7.0.15 (0.0 s)\n"

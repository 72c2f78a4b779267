"""What Flower shows of a task: ids and outcomes."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def settings(repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The file as Flower runs it; nothing connects."""
    monkeypatch.setenv("BURSAR_REDIS_URL", "redis://:secret@nowhere.invalid:6379/0")
    return runpy.run_path(str(repository / "deploy" / "flowerconfig.py"))


def test_an_evaluation_reads_as_a_sentence(settings: dict[str, Any]) -> None:
    args = (
        "[{'study': 'humaneval-1', 'trial': 3, 'arm': 'ab12', 'example': 'tune-4',"
        " 'first_draw': 4, 'draws': 4}]"
    )
    shown = settings["format_task"](
        SimpleNamespace(args=args, kwargs="{}", result="'3/4 pass, $0.0003'")
    )
    assert shown.args == "humaneval-1 trial 3 arm ab12 tune-4 draws 4-7"
    assert shown.result == "3/4 pass, $0.0003"
    assert shown.kwargs == ""


@pytest.mark.parametrize(
    "args",
    [
        None,
        "",
        "['a prompt']",
        "[{'prompt': 'a secret'}]",
        "[{'study': 'cut o...",
        "__import__('os')",
    ],
)
def test_other_arguments_are_not_shown(settings: dict[str, Any], args: str | None) -> None:
    shown = settings["format_task"](SimpleNamespace(args=args, kwargs="{'k': 1}", result=None))
    assert (shown.args, shown.kwargs, shown.result) == ("...", "", "")


def test_the_app_is_the_workers_own(settings: dict[str, Any]) -> None:
    from study import broker

    options = settings["app"].conf.broker_transport_options
    assert options["visibility_timeout"] == broker.VISIBILITY_TIMEOUT_S

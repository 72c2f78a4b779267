"""What the benchmark says of runs."""

import re
import subprocess

import pytest

from bench.search import report
from bench.search import run as runner


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals as rough as they may be: what is tested is what is said of them."""
    monkeypatch.setattr(report, "RESAMPLES", 50)


def run(method, seed, value, *, budget=1.0, cost_share=0.9):
    return {
        "method": method, "family": "hot", "seed": seed, "budget": budget, "multiple": 100.0,
        "best": 0.9, "value": value, "cost_share": cost_share, "config": {}, "reported": value,
        "billed_share": 1.0, "wall_s": 1.0, "std_error": 0.01 if method == "bursar" else None,
    }  # fmt: skip


def test_breaking_the_inference_budget_wins_nothing():
    assert report.regret(run("flaml", 0, 0.95, cost_share=1.1)) == 0
    assert report.regret(run("flaml", 0, 0.5, cost_share=1.1)) == pytest.approx(0.4)


def test_methods_are_compared_on_the_same_worlds_with_the_same_money():
    runs = [run("bursar", 0, 0.8), run("flaml", 0, 0.6), run("flaml", 1, 0.0)]
    pairs = report._paired(runs, "bursar", "flaml", share=1.0, family="hot")
    assert [(a["seed"], b["seed"]) for a, b in pairs] == [(0, 0)]
    assert report._ratio(pairs) == pytest.approx(1 / 3)


def test_a_quarter_of_the_money_is_held_against_the_whole():
    runs = [run("bursar", 0, 0.8, budget=0.25), run("bursar", 0, 0.9), run("flaml", 0, 0.6)]
    pairs = report._paired(runs, "bursar", "flaml", share=0.25, family=None)
    assert report._ahead(pairs) == pytest.approx(0.2)


def test_the_tables_name_every_method_and_family():
    text = report.text([run("bursar", 0, 0.8), run("flaml", 0, 0.6), run("flaml", 1, 0.5)])
    assert "| hot | FLAML 1.2.0 | 2 |" in text
    assert "| hot | bursar | 1 |" in text


def test_a_line_cut_off_in_writing_is_no_run(tmp_path):
    (tmp_path / "runs.jsonl").write_text('{"method": "flaml", "fam')
    assert report.read(tmp_path / "runs.jsonl") == []


def target(runs, name, family="hot"):
    return next(t for t in report.targets(runs) if (t.name, t.family) == (name, family))


@pytest.mark.parametrize(
    ("value", "met"), [(0.85, True), (0.75, False)], ids=["a sixth", "half of it"]
)
def test_a_third_of_flamls_regret_is_asked_for_in_each_family(value, met):
    runs = [run("bursar", 0, value), run("flaml", 0, 0.6)]
    assert target(runs, "regret").met == met


def test_a_third_is_not_proven_where_the_interval_goes_beyond_it():
    runs = [run("flaml", seed, 0.6) for seed in range(4)]
    alike = [run("bursar", seed, 0.82) for seed in range(4)]
    spread = [run("bursar", seed, 0.9 if seed else 0.58) for seed in range(4)]
    assert target([*runs, *alike], "regret").proven
    found = target([*runs, *spread], "regret")
    assert (found.met, found.proven) == (True, False)
    assert "hot" in report.text([*runs, *spread]).split("goes beyond the target")[1]


def test_an_answer_that_broke_counts_at_a_quarter_of_the_money_too():
    peers = [run("flaml", 0, 0.6)]
    runs = [run("bursar", 0, 0.85), run("bursar", 0, 0.8, budget=0.25, cost_share=1.1), *peers]
    broke = target(runs, "broke")
    assert (broke.met, broke.figure) == (False, "50.0% (1 of 2)")


def test_what_falls_short_is_said_with_its_figure_and_why():
    runs = [run("bursar", 0, 0.5) | {"reported": 0.9, "billed_share": 1.01}, run("flaml", 0, 0.6)]
    short = report.text(runs).split("## What falls short")[1].split("\n## ")[0]
    for name, figure in (("regret", "1.333"), ("within", "0.0% (0 of 1)"), ("billed", "101.00%")):
        assert figure in short
        assert report.WHY[name] in short
    assert report.WHY["broke"] not in short


def test_where_all_is_met_nothing_is_said_to_fall_short():
    peers = [run(method, 0, 0.6, budget=budget) for method in report.PEERS for budget in (1.0, 4.0)]
    text = report.text([run("bursar", 0, 0.89), *peers])
    assert "Nothing: each target is met" in text


def test_the_page_names_the_code_of_each_methods_runs():
    runs = [run("bursar", 0, 0.5) | {"commit": "abc1234"}, run("flaml", 0, 0.6)]
    runs.append(run("bursar", 1, 0.5) | {"commit": "abc1234-dirty"})
    text = report.text(runs)
    assert "bursar: abc1234 (1 runs), abc1234-dirty (1 runs)" in text
    assert "FLAML 1.2.0: not recorded (1 runs)" in text


def test_a_run_knows_the_commit_of_its_code(tmp_path, monkeypatch):
    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert runner.commit() is None
    git("init")
    (tmp_path / "search.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    assert re.fullmatch("[0-9a-f]+", runner.commit() or "")
    (tmp_path / "search.py").write_text("2")
    assert (runner.commit() or "").endswith("-dirty")

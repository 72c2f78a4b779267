"""What the benchmark says of runs."""

import pytest

from bench.search import report


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

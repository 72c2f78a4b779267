"""Answers paid for in full, judged as a smaller max_tokens or more stops would have left them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal.tokens import cut_to_tokens
from sandbox import ProcessSandbox, Sandbox
from study import worst_case
from study.cuts import CUTS_MAX
from study.messages import Scored

from .conftest import MODEL, Bench, MakeBench, stand_in

SPACE = {
    "model": [MODEL],
    "prompt": ["{prompt}"],
    "max_tokens": [20, 40, 60, 90, 300],
    "stop": [[], ["\n```\n"], ["\n    for"], ["return"]],
}
EXAMPLES = 5


class StandInsTokenizer:
    """The stand-in's own tokens, as a tokenizer: lists of its pieces of text."""

    def encode(self, text: str, **_: object) -> list[str]:
        pieces = []
        while text:
            pieces.append(cut_to_tokens(text, 1))
            text = text[len(pieces[-1]) :]
        return pieces

    def decode(self, pieces: list[str], **_: object) -> str:
        return "".join(pieces)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Processes: all that runs here is the stand-in's own."""
    with contextlib.closing(ProcessSandbox()) as opened:
        yield opened


def results(bench: Bench, *, draws: int) -> list[Scored]:
    """What comes of the first draws on some examples."""
    for example in range(EXAMPLES):
        bench.evaluate(example=f"tune-{example}", draws=draws)
    return [result for result in bench.results if isinstance(result, Scored)]


def bought(
    make_bench: MakeBench, problems: list[dict[str, Any]], params: dict[str, Any], draws: int
) -> list[Scored]:
    """The same draws, from an endpoint that knows of no others, bought with these parameters."""
    with stand_in(problems) as server:
        bench = make_bench(params=params, space=SPACE, base_url=server.base_url)
        return results(bench, draws=draws)


PARAMS = {"temperature": 0.8, "max_tokens": 300}


def test_a_cut_is_judged_as_it_would_be_if_it_had_been_bought(
    make_bench: MakeBench, problems: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worst_case, "encoding", lambda _: StandInsTokenizer())
    full = results(make_bench(params=PARAMS, space=SPACE), draws=4)
    spoilt = 0
    for change in ({"max_tokens": 60}, {"stop": ["\n```\n"]}, {"stop": ["return"]}):
        real = bought(make_bench, problems, {**PARAMS, **change}, 4)
        for whole, less in zip(full, real, strict=True):
            assert whole.cuts is not None
            found = {cut.arm: cut for cut in whole.cuts}.get(less.arm)
            assert less.passes == (found.passes if found else whole.passes)
            tokens = found.output_tokens if found else whole.paid.completion_tokens
            assert tokens == pytest.approx(
                less.paid.completion_tokens, abs=4
            )  # a stop parts a token
            spoilt += less.passes != whole.passes
    assert spoilt


def test_without_a_tokenizer_nothing_is_said_to_pass_that_would_not(
    make_bench: MakeBench, problems: list[dict[str, Any]]
) -> None:
    full = results(make_bench(params=PARAMS, space=SPACE), draws=4)
    real = bought(make_bench, problems, {**PARAMS, "max_tokens": 90}, 4)
    agree = 0
    for whole, less in zip(full, real, strict=True):
        assert whole.cuts is not None
        assert less.passes is not None
        found = {cut.arm: cut.passes for cut in whole.cuts}.get(less.arm, whole.passes)
        assert found is not None
        assert all(said <= true for said, true in zip(found, less.passes, strict=True))
        agree += sum(said == true for said, true in zip(found, less.passes, strict=True))
    assert agree >= 0.8 * 4 * EXAMPLES


def test_a_cut_that_changes_nothing_is_left_out(make_bench: MakeBench) -> None:
    table = {**SPACE, "max_tokens": [990, 1000], "stop": [[], ["nobody says this"]]}
    params = {**PARAMS, "max_tokens": 1000}
    for result in results(make_bench(params=params, space=table), draws=2):
        assert result.cuts == []


def test_all_cuts_fit_a_result(make_bench: MakeBench) -> None:
    bench = make_bench(params=PARAMS, space=SPACE)
    bench.evaluate(draws=16)
    [result] = bench.results
    assert isinstance(result, Scored)
    assert result.cuts is not None
    assert 0 < len(result.cuts) <= CUTS_MAX
    assert len(result.model_dump_json()) < 3000


def test_where_answers_are_judged_together_no_cut_is_looked_at(make_bench: MakeBench) -> None:
    bench = make_bench(params=PARAMS, space=SPACE, scored_by_coordinator=True)
    bench.evaluate()
    [result] = bench.results
    assert isinstance(result, Scored)
    assert result.cuts is None

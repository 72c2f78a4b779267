"""One evaluation, end to end: the real openai client, Redis and sandbox, against the stand-in."""

from rehearsal import RehearsalServer
from study.messages import Scored

from .conftest import MakeBench


def test_an_evaluation_buys_runs_and_records_its_answers(
    make_bench: MakeBench, server: RehearsalServer
) -> None:
    bench = make_bench()
    words = bench.evaluate(draws=4)
    [result] = bench.results
    assert isinstance(result, Scored)
    assert result.passes is not None
    assert words.startswith(f"{sum(result.passes)}/4 pass, $0.")
    assert bench.spent == server.books().billed_nanodollars == result.paid.cost_nanodollars
    assert bench.reserved == bench.in_doubt == 0

"""How often results are read: what a reading costs is paced, and not by a clock of the tests' machine."""

from collections.abc import Callable
from typing import Any

import pytest

from coordinator import reading
from coordinator.reading import REST, AtOnce, Beside
from coordinator.search import Search

from .conftest import DOLLAR, Loop

MakeSearch = Callable[..., Search]


def test_a_reader_rests_in_proportion_to_the_cpu_time_that_it_took() -> None:
    now_s, used_s = [100.0], [7.0]

    def work() -> str:
        used_s[0] += 2.0
        return "read"

    reader = Beside(clock=lambda: now_s[0], cpu=lambda: used_s[0])
    try:
        assert reader.rested
        assert reader.submit(work).result(60) == "read"
        now_s[0] += 2.0 * REST - 0.1
        assert not reader.rested
        now_s[0] += 0.2
        assert reader.rested
    finally:
        reader.shutdown()


def test_a_reader_that_needs_rest_reads_less_often_but_reads(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, count = reading.read, [0]

    def counted(*args: Any, **kwargs: Any) -> reading.Reading:
        count[0] += 1
        return reads(*args, **kwargs)

    monkeypatch.setattr(reading, "read", counted)

    def readings() -> int:
        count[0] = 0
        search = make_search()
        Loop(search, DOLLAR).run(works_max=120)
        return count[0]

    rested = readings()
    monkeypatch.setattr(AtOnce, "rested", False)
    assert 3 <= readings() < rested

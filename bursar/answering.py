"""Answering: where a single request of a study goes: to the real API, or to a stand-in of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bursar.stand_in import Row, stand_in
from study.prices import Price
from study.spec import StudySpec
from study.studies import Source


@contextmanager
def answering(
    spec: StudySpec, rows: Sequence[tuple[str, Row]], *, prices: Mapping[str, Price], source: Source
) -> Iterator[str | None]:
    """Yield the base URL of a rehearsal's endpoint, or None where a real one answers.

    Args:
        spec: the study.
        rows: what may be asked.
        prices: of its models.
        source: who answers.
    """
    if source is Source.MODEL:
        yield None
        return
    with stand_in(spec, rows, prices=prices) as endpoint:
        yield endpoint.base_url

"""Requesting: single requests with one config, from rows to responses, in this process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bursar.answering import answering
from bursar.arguments import Arguments
from bursar.completion import Completer, Request, Response
from study import prices, templates
from study.domains import Choice
from study.errors import SpecError
from study.prices import Price
from study.studies import Source

Row = Mapping[str, Any]
Requester = Callable[[Row, Mapping[str, Any]], Response]


@contextmanager
def requests(read: Arguments, rows: Sequence[Row], *, source: Source) -> Iterator[Requester]:
    """Yield a function that makes a request for a row; any number of threads may call it.

    Args:
        read: the config: constants only.
        rows: what may be asked; every template is checked against them first.
        source: who answers; in a rehearsal, an endpoint made for these rows.

    Raises:
        DataError: a template reads a column that a row lacks.
    """
    spec, model = read.spec, read.spec.search_space.models[0]
    template, params = spec.search_space.templates[0], _constants(read)
    named = [(f"row {number}", dict(row)) for number, row in enumerate(rows)]
    for name, row in named:
        templates.check(template, row, field=read.prompts.field, example_id=name)
    known = _prices(read, source)

    def request(row: Row, config: Mapping[str, Any]) -> Response:
        asked = Request(
            rendered=templates.render(template, row),
            model=model,
            params=params,
            n=spec.search_space.n[0],
        )
        return completer.complete(asked, price=known.get(model), config=config)

    with (
        answering(spec, named, prices=known, source=source) as base_url,
        Completer(spec.endpoint, base_url=base_url, source=source) as completer,
    ):
        yield request


def _constants(read: Arguments) -> dict[str, Any]:
    space = read.spec.search_space
    domains = {**space.params, "temperature": space.temperature, "top_p": space.top_p}
    return {
        name: domain.values[0] for name, domain in domains.items() if isinstance(domain, Choice)
    }


def _prices(read: Arguments, source: Source) -> Mapping[str, Price]:
    """The model's price, where it is known; the rehearsal endpoint can't bill without one."""
    try:
        return prices.pinned(read.spec)
    except SpecError:
        if source is Source.REHEARSAL:
            raise
        return {}

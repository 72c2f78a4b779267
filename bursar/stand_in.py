"""StandIn: the rehearsal endpoint, set up to answer for one study, in this process."""

import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from rehearsal import Latency, RehearsalServer, Surface, Synthetic
from study import templates
from study.errors import InfrastructureError
from study.prices import Price
from study.spec import StudySpec

SEAL_KEY_VARIABLE: Final = "BURSAR_SEAL_KEY"
SOLUTION_COLUMNS: Final = ("canonical_solution", "solution", "code", "answer")
ID_COLUMNS: Final = ("task_id", "id")
LATENCY: Final = Latency(fixed_s=0.2, per_token_s=0.002, jitter=0.5)
"""About a real model's time to the first token, and five times its speed after it."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """Where the rehearsal's answers come from, and what local workers must know to use it."""

    base_url: str
    environment: Mapping[str, str]


@contextmanager
def stand_in(
    spec: StudySpec,
    rows: Iterable[tuple[str, Row]],
    *,
    prices: Mapping[str, Price],
    host: str = "127.0.0.1",
    base_url: str | None = None,
) -> Iterator[StandIn]:
    """Serve synthetic answers to a study's examples while the context lasts.

    Args:
        spec: the study.
        rows: every example that may be asked, with its id.
        prices: of the study's models: what a real endpoint would bill.
        host: the address to listen at, one that the workers reach.
        base_url: where it listened before, if the study is resumed.

    Raises:
        InfrastructureError: the address of before is taken.
    """
    seal_key = secrets.token_hex(32)
    usd = {model: _usd_per_million(price) for model, price in prices.items()}
    outputs = {model: float(output) for model, (_, output) in usd.items()}
    port = 0 if base_url is None else urlsplit(base_url).port or 0
    server = RehearsalServer(
        problems=[_problem(spec, example_id, row) for example_id, row in rows],
        models=usd,
        source=Synthetic(Surface.draw(spec.run.seed, outputs)),
        seal_key=seal_key.encode(),
        latency=LATENCY,
        seed=spec.run.seed,
        host=host,
        port=port,
    )
    try:
        server.start()
    except OSError as exc:
        raise InfrastructureError(
            f"the rehearsal endpoint can't listen at port {port} as before ({exc.strerror}). "
            "End what listens there, or rehearse anew"
        ) from exc
    try:
        azure = spec.endpoint.provider == "azure"
        yield StandIn(
            base_url=server.root_url if azure else server.base_url,
            environment={SEAL_KEY_VARIABLE: seal_key},
        )
    finally:
        server.stop()


def _problem(spec: StudySpec, example_id: str, row: Row) -> dict[str, Any]:
    """An example as the endpoint knows it: its prompts fully rendered, so that matching is exact."""
    rendered = [_asked(templates.render(t, row)) for t in spec.search_space.templates]
    solution = next((row[name] for name in SOLUTION_COLUMNS if row.get(name) is not None), None)
    names = [row[name] for name in ID_COLUMNS if row.get(name) is not None]
    return {
        "id": str(names[0]) if names else example_id,
        "prompt": str(row.get("prompt") or rendered[0]),
        "solution": solution,
        "entry_point": row.get("entry_point"),
        "prompts": rendered,
    }


def _asked(rendered: templates.Rendered) -> str:
    """What the endpoint reads of a prompt: all messages but the assistant's."""
    if isinstance(rendered, str):
        return rendered
    return "\n".join(m["content"] for m in rendered if m["role"] != "assistant")


def _usd_per_million(price: Price) -> tuple[str, str]:
    """Input and output dollars per million tokens, exactly."""
    amounts = (price.input_nanodollars_per_million, price.output_nanodollars_per_million)
    whole = [f"{amount // 10**9}.{amount % 10**9:09d}" for amount in amounts]
    return whole[0], whole[1]


def address_towards(redis_url: str) -> str:
    """Our address on the network on which we reach Redis; the workers reach us there, too."""
    parts = urlsplit(redis_url)
    if not parts.hostname:
        return "127.0.0.1"
    try:
        with socket.create_connection((parts.hostname, parts.port or 6379), timeout=5.0) as probe:
            address = str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"
    return "127.0.0.1" if ":" in address else address

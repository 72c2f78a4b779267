"""A small study on the rehearsal endpoint, and a worker's site to evaluate it with."""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rehearsal import RehearsalServer, Synthetic
from sandbox import ProcessSandbox, Sandbox, SandboxError, open_sandbox
from study import keys
from study.assignments import Assignments
from study.config import Arm
from study.connection import Client
from study.ledger import Ledger
from study.messages import EvaluateExample, Result
from study.paid_calls import PaidCalls
from study.prices import Price
from study.results import Results
from study.spec import StudySpec
from study.studies import Source, Studies, StudyRecord
from study.trials import Trial
from workers import llm
from workers.evaluate import evaluate_example
from workers.judges import Judges
from workers.llm import Endpoint
from workers.site import Site

MODEL = "stand-in"
USD = (0.5, 2.0)
SEAL_KEY = b"a seal for tests"


@pytest.fixture(scope="session")
def problems(repository: Path) -> list[dict[str, Any]]:
    """The starter problems."""
    lines = (repository / "examples" / "starter.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def stand_in(problems: list[dict[str, Any]]) -> RehearsalServer:
    """The stand-in, with synthetic answers to some problems."""
    rows = [
        {**row, "id": row["task_id"], "solution": row["canonical_solution"]} for row in problems
    ]
    return RehearsalServer(
        problems=rows,
        models={MODEL: USD},
        source=Synthetic(),
        api_key=llm.REHEARSAL_KEY,
        seal_key=SEAL_KEY,
    )


@pytest.fixture
def server(problems: list[dict[str, Any]]) -> Iterator[RehearsalServer]:
    """The stand-in, with synthetic answers to the starter problems."""
    with stand_in(problems) as running:
        yield running


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A study with one arm, its books, and a site that evaluates it."""

    record: StudyRecord
    arm: Arm
    site: Site

    def message(
        self, *, example: str = "tune-0", first_draw: int = 0, draws: int = 4
    ) -> EvaluateExample:
        return EvaluateExample(
            study=self.record.id,
            trial=0,
            arm=self.arm.key,
            example=example,
            first_draw=first_draw,
            draws=draws,
        )

    def ask(self, **which: Any) -> EvaluateExample:
        """Write an evaluation down, as a coordinator does before it sends it."""
        message = self.message(**which)
        sent = keys.sent(self.record.id)
        self.site.redis.hset(sent, message.evaluation, message.model_dump_json())
        return message

    def evaluate(self, **which: Any) -> str:
        return evaluate_example(self.ask(**which), self.site)

    def with_site(self, **other: Any) -> "Bench":
        return replace(self, site=replace(self.site, **other))

    @property
    def results(self) -> list[Result]:
        found = Results(self.site.redis, self.record.id).read()
        return [result for _, result in found]

    @property
    def studies(self) -> Studies:
        return Studies(self.site.redis)

    @property
    def paid_calls(self) -> PaidCalls:
        return PaidCalls(self.site.redis, self.record.id)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.site.redis)

    @property
    def spent(self) -> int:
        return self.ledger.balance(self.record.account).spent

    @property
    def reserved(self) -> int:
        return self.ledger.balance(self.record.account).reserved

    @property
    def in_doubt(self) -> int:
        return self.ledger.balance(self.record.account).in_doubt


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The real sandbox where there is an engine; else the runner as processes."""
    opened: Sandbox
    try:
        opened = open_sandbox()
    except SandboxError:
        opened = ProcessSandbox()
    yield opened
    opened.close()


MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(
    client: Client, problems: list[dict[str, Any]], server: RehearsalServer, sandbox: Sandbox
) -> Iterator[MakeBench]:
    """Makes a study and a site; waits are not waited for, but written down."""
    endpoints: list[Endpoint] = []
    all_judges: list[Judges] = []

    def make(
        *,
        limit: int | None = 10**9,
        source: Source = Source.REHEARSAL,
        base_url: str | None = None,
        scored_by_coordinator: bool = False,
        rows: list[Mapping[str, Any]] | None = None,
        params: Mapping[str, Any] | None = None,
        waits: list[float] | None = None,
        **tables: Mapping[str, Any],
    ) -> Bench:
        spec = StudySpec.parse(
            {
                "name": "bench",
                "data": {"path": "examples/starter.jsonl"},
                "budget": {"optimization_usd": 1.0, "inference_usd": 0.01},
                "space": {"model": [MODEL], "prompt": ["{prompt}"]},
                "price": [{"model": MODEL, "input": USD[0], "output": USD[1]}],
                **tables,
            }
        )
        studies = Studies(client)
        chosen = problems if rows is None else rows
        record = studies.create(
            spec,
            pinned={MODEL: Price.from_usd(input=USD[0], output=USD[1])},
            source=source,
            base_url=base_url or server.base_url,
            scored_by_coordinator=scored_by_coordinator,
            examples=[(f"tune-{i}", row) for i, row in enumerate(chosen)],
        )
        arm = Arm(
            model=MODEL, template=0, params={"max_tokens": 300, **(params or {"temperature": 0.7})}
        )
        studies.save_trial(record.id, Trial(number=0, arm=arm))
        Ledger(client).open(record.account, limit=limit)
        endpoint = Endpoint.open(spec.endpoint, base_url=record.base_url, key=llm.REHEARSAL_KEY)
        endpoints.append(endpoint)
        judges = Judges()
        all_judges.append(judges)
        site = Site(
            redis=client,
            assignments=Assignments(client),
            ledger=Ledger(client),
            endpoint=lambda _: endpoint,
            sandbox=lambda _: sandbox,
            judges=judges,
            seal_key=SEAL_KEY,
            holder=lambda: uuid.uuid4().hex,
            clock=time.monotonic,
            sleep=(waits if waits is not None else []).append,
            jitter=random.Random(0),
        )
        return Bench(record=record, arm=arm, site=site)

    yield make
    for endpoint in endpoints:
        endpoint.close()
    for judges in all_judges:
        judges.close()

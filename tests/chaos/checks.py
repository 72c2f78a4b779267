"""Checks: what must be so after a study that survived anything; each failure is a sentence."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from coordinator.report import public_config
from coordinator.tuning import open_search
from rehearsal import Books
from study import broker, keys
from study.connection import Client
from study.ledger import Ledger
from study.messages import FINAL, QUEUE, ConfigFailed, Scored
from study.paid_calls import PaidCall
from study.results import Results
from study.studies import Studies, StudyRecord, StudyStatus
from study.trials import TrialState

CHECKED = (
    "no worker ended but by kill -9, and every command ended in a way that can be resumed",
    "complete, with a recommendation, and every trial ended",
    "spent + reserved <= limit at every entry of the journal, which sums to the balance",
    "nothing stays reserved; nothing billed above its reservation",
    "settled exactly <= billed by the endpoint <= spent; spent - billed <= in doubt",
    "every call settled once; every answer delivered is stored, or in doubt",
    "no draw stored twice; every result in the stream once, and counted once; eval_func's errors, too",
    "every evaluation that was sent has its result; no message is left that asks for more",
    "the recommendation is that of the same results replayed in one go",
    "no process that judges is left, and no container (every 8th schedule runs programs in them)",
    "no key without a TTL that is not on the permanent list",
)


def check(
    client: Client, messages: Client, books: Books, report: dict[str, Any]
) -> tuple[dict[str, int], list[str]]:
    """Look at what a study left.

    Returns:
        What was counted, and what is wrong.
    """
    (study,) = Studies(client).ids()
    look = Look(client, messages, books, report, Studies(client).load(study))
    failures = [words for part in look.parts() for words in part]
    return look.counts, failures


class Look:
    """All that is looked at."""

    def __init__(
        self,
        client: Client,
        messages: Client,
        books: Books,
        report: dict[str, Any],
        record: StudyRecord,
    ) -> None:
        self.client, self.messages, self.books, self.report = client, messages, books, report
        self.record, self.studies, self.ledger = record, Studies(client), Ledger(client)
        self.balance = self.ledger.balance(record.account)
        self.journal = list(self.ledger.journal(record.account))
        self.exact = {m.reservation for m in self.journal if m.verb == "settle"}
        self.doubt = {m.reservation for m in self.journal if m.verb == "settle_in_doubt"}
        self.stored: dict[str, PaidCall] = {}
        pattern = keys.paid_calls(record.id, "*", "*").replace("{", "[{]")
        for key in client.scan_iter(match=pattern):
            where = key.rpartition("paid_calls:")[2]
            for span, text in client.hgetall(key).items():
                self.stored[f"{where}/{span}"] = PaidCall.from_json(text)
        self.results = list(_results(client, record.id))
        self.scored = [result for result in self.results if isinstance(result, Scored)]
        self.counts = {
            "calls": books.calls,
            "billed": books.billed_calls,
            "stored": len(self.stored),
            "in doubt": len(self.doubt),
            "evaluations": len(self.scored),
            "billed nanodollars": books.billed_nanodollars,
            "spent nanodollars": self.balance.spent,
            "in doubt nanodollars": self.balance.in_doubt,
        }

    def parts(self) -> Iterator[Iterator[str]]:
        """Every check of what is left, in the order of `CHECKED` (the first one is the schedule's)."""
        yield self.is_complete()
        yield self.limit_held()
        yield self.nothing_reserved()
        yield self.books_agree()
        yield self.calls_settled_once()
        yield self.counted_once()
        yield self.nothing_missing()
        yield self.same_when_replayed()
        yield self.no_leaks()

    def is_complete(self) -> Iterator[str]:
        if (
            self.studies.status(self.record.id) is not StudyStatus.COMPLETE
            or self.report.get("status") != "complete"
        ):
            yield f"the study is {self.studies.status(self.record.id)}"
        if self.report.get("best") is None:
            yield "nothing is recommended"
        if self.client.exists(keys.lease(self.record.id)):
            yield "somebody still holds the lease"
        for trial in self.studies.trials(self.record.id):
            if trial.state in (TrialState.WAITING, TrialState.RUNNING):
                yield f"trial {trial.number} is {trial.state}"

    def limit_held(self) -> Iterator[str]:
        assert self.balance.limit is not None
        reserved = spent = 0
        for movement in self.journal:
            reserved, spent = reserved + movement.reserved, spent + movement.spent
            if reserved + spent > self.balance.limit:
                yield f"{reserved} reserved and {spent} spent of {self.balance.limit}"
        if (reserved, spent) != (self.balance.reserved, self.balance.spent):
            yield f"the journal says {reserved} and {spent}, the balance {self.balance}"
        parent = self.ledger.balance(keys.FLEET_ACCOUNT)
        if (parent.spent, parent.reserved) != (self.balance.spent, self.balance.reserved):
            yield f"the fleet's account says {parent}, the study's {self.balance}"

    def nothing_reserved(self) -> Iterator[str]:
        if self.balance.reserved or self.balance.overrun:
            yield f"reserved or overrun: {self.balance}"
        if left := self.ledger.open_reservations(self.record.account):
            yield f"open: {left}"

    def books_agree(self) -> Iterator[str]:
        billed, spent = self.books.billed_nanodollars, self.balance.spent
        exact = spent - self.balance.in_doubt
        if not exact <= billed <= spent:
            yield f"settled {exact}, billed {billed}, spent {spent}"
        if not len(self.exact) <= self.books.billed_calls <= len(self.exact) + len(self.doubt):
            yield (
                f"{len(self.exact)} calls settled, {self.books.billed_calls} billed, "
                f"{len(self.doubt)} in doubt"
            )

    def calls_settled_once(self) -> Iterator[str]:
        calls = Counter(reservation.rpartition("#")[0] for reservation in self.exact)
        for call, times in calls.items():
            if times > 1:
                yield f"{call} was settled {times} times"
            if call.partition(":")[2] not in self.stored:
                yield f"{call} was paid for, and is not stored"
        for name, paid in self.stored.items():
            if paid.reservation not in self.exact | self.doubt:
                yield f"{name} is stored, and was not paid for"
        delivered = sum(record.delivered for record in self.books.records)
        if delivered - len(self.stored) > len(self.doubt):
            yield f"{delivered} delivered, {len(self.stored)} stored, {len(self.doubt)} in doubt"

    def counted_once(self) -> Iterator[str]:
        draws: dict[str, list[range]] = defaultdict(list)
        for name, paid in self.stored.items():
            arm_and_example, _, span = name.rpartition("/")
            first = int(span.partition("+")[0])
            draws[arm_and_example].append(range(first, first + len(paid.completions)))
        for where, spans in draws.items():
            bought = [draw for span in spans for draw in span]
            if len(bought) != len(set(bought)):
                yield f"{where}: a draw is stored twice"
        final = [result.evaluation for result in self.results if isinstance(result, FINAL)]
        if len(final) != len(set(final)):
            yield "a final result is in the stream twice"
        counted, paid_for = self.report["completions_paid"], sum(r.draws for r in self.scored)
        if counted != paid_for:
            yield f"{counted} completions are counted, {paid_for} in the results"
        raised = sum(bool(result.error) for result in self.scored)
        if self.report.get("eval_func_errors", {"count": 0})["count"] != raised:
            yield f"eval_func raised {raised} times, reported: {self.report['eval_func_errors']}"
        costs = sum(result.paid.cost_nanodollars for result in self.scored)
        kept = sum(paid.cost_nanodollars for paid in self.stored.values())
        if costs != kept and not any(isinstance(r, ConfigFailed) for r in self.results):
            yield f"the results cost {costs}, what is stored {kept}"

    def nothing_missing(self) -> Iterator[str]:
        if left := self.client.hkeys(keys.sent(self.record.id)):
            yield f"sent, and no result: {left}"
        recorded = self.client.smembers(keys.results_recorded(self.record.id))
        waiting = broker.waiting(self.messages, self.record.id)
        if waiting is None or waiting - recorded:
            yield f"{waiting} wait in {QUEUE}"
        if claims := list(self.client.scan_iter(match="*:claim:*")):
            for key in claims:
                if key.rpartition(":claim:")[2] not in self.stored:
                    yield f"a claim on what is not stored: {key}"

    def same_when_replayed(self) -> Iterator[str]:
        search = open_search(self.record, self.client)
        try:
            search.restore(self.studies.trials(self.record.id))
            for result in self.results:
                if isinstance(result, Scored):
                    search.record(result)
                elif isinstance(result, ConfigFailed):
                    search.fail(result.trial, result.reason)
            search.conclude()
            best = search.recommend()
        finally:
            search.close()
        config = None if best is None else public_config(self.record.spec, best.config)
        if config != self.report["config"]:
            yield f"replayed: {config}, reported: {self.report['config']}"
        elif best is not None and best.value != pytest.approx(self.report["best"]["value"]):
            yield f"replayed: {best.value}, reported: {self.report['best']['value']}"

    def no_leaks(self) -> Iterator[str]:
        for key in self.client.scan_iter():
            if self.client.ttl(key) == -1 and not keys.is_permanent(key):
                yield f"{key} lives for ever"


def _results(client: Client, study: str) -> Iterator[Any]:
    results, position = Results(client, study), "0"
    while block := results.read(after=position):
        position = block[-1][0]
        yield from (result for _, result in block)

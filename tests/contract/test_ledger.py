"""The ledger's contract: what holds on Redis 7, on Redis 6.2 and on a plain-Python model of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from study.connection import Client
from study.ledger import Balance, Ledger, Movement, Verdict
from study.money import AMOUNT_NANODOLLARS_MAX

FLEET = "fleet"
FAR_FUTURE_MS = 10**15
IN_DOUBT = {"settle_in_doubt", "brought_forward_in_doubt"}
ZERO = Balance(limit=None, spent=0, reserved=0, in_doubt=0, overrun=0)


@dataclass
class Books:
    """One account of the model."""

    balance: Balance = ZERO
    reservations: dict[str, tuple[str, int]] = field(default_factory=dict)
    journal: list[Movement] = field(default_factory=list)


class PlainLedger:
    """The ledger as one would write it in plain Python, for one thread and no crashes."""

    def __init__(self) -> None:
        self.books: dict[str, Books] = {}

    def open(self, account: str, *, limit: int | None) -> None:
        books = self.books.setdefault(account, Books())
        if books.balance.limit is None:
            books.balance = replace(books.balance, limit=limit)

    def set_limit(self, account: str, limit: int) -> None:
        books = self.books.setdefault(account, Books())
        books.balance = replace(books.balance, limit=limit)

    def exists(self, account: str) -> bool:
        return account in self.books

    def balance(self, account: str) -> Balance:
        return self.books.get(account, Books()).balance

    def reserve(self, account: str, reservation: str, amount: int) -> Verdict:
        if account not in self.books:
            return Verdict.NOT_FOUND
        state, held = self.books[account].reservations.get(reservation, ("new", 0))
        if state != "new":
            same = Verdict.EXISTS if held == amount else Verdict.AMOUNT_DIFFERS
            return same if state == "reserved" else Verdict(f"already_{state}")
        if not self._fits(account, amount):
            return Verdict.EXCEEDS_BUDGET
        if not self._fits(FLEET, amount):
            return Verdict.EXCEEDS_PARENT_BUDGET
        self.books[account].reservations[reservation] = ("reserved", amount)
        self._move(account, "reserve", reservation, reserved=amount)
        return Verdict.CREATED

    def settle(self, account: str, reservation: str, cost: int) -> Verdict:
        return self._end(account, reservation, "settle", cost)

    def settle_in_doubt(self, account: str, reservation: str) -> Verdict:
        return self._end(account, reservation, "settle_in_doubt", None)

    def release(self, account: str, reservation: str) -> Verdict:
        return self._end(account, reservation, "release", 0)

    def open_reservations(self, account: str) -> list[str]:
        found = self.books.get(account, Books()).reservations
        return [name for name, (state, _) in found.items() if state == "reserved"]

    def journal(self, account: str) -> Iterator[Movement]:
        return iter(self.books.get(account, Books()).journal)

    def sum_up(self, account: str, *, before_ms: int) -> int:
        """As if each entry were older than that."""
        assert before_ms
        books = self.books.get(account, Books())
        counted = sum(not move.verb.startswith("brought_forward") for move in books.journal)
        if counted:
            doubt = sum(move.spent for move in books.journal if move.verb in IN_DOUBT)
            spent = sum(move.spent for move in books.journal) - doubt
            reserved = sum(move.reserved for move in books.journal)
            books.journal = [
                Movement(verb="brought_forward_in_doubt", reservation="", reserved=0, spent=doubt),
                Movement(verb="brought_forward", reservation="", reserved=reserved, spent=spent),
            ]
        return counted

    def _fits(self, account: str, amount: int) -> bool:
        books = self.books.get(account)
        if books is None or books.balance.limit is None:
            return True
        return books.balance.spent + books.balance.reserved + amount <= books.balance.limit

    def _end(self, account: str, reservation: str, verb: str, cost: int | None) -> Verdict:
        known = self.books.get(account, Books()).reservations
        state, held = known.get(reservation, ("new", 0))
        if state != "reserved":
            return Verdict.NOT_FOUND if state == "new" else Verdict(f"already_{state}")
        spent = held if cost is None else cost
        known[reservation] = ("released" if verb == "release" else "settled", spent)
        self._move(account, verb, reservation, reserved=-held, spent=spent)
        if verb == "release":
            return Verdict.RELEASED
        return Verdict.OVERRUN if spent > held else Verdict.SETTLED

    def _move(
        self, account: str, verb: str, reservation: str, *, reserved: int, spent: int = 0
    ) -> None:
        for name in {account, FLEET}:
            books = self.books.setdefault(name, Books())
            was = books.balance
            over = max(0, spent + reserved) if reserved < 0 else 0
            books.balance = replace(
                was,
                reserved=was.reserved + reserved,
                spent=was.spent + spent,
                in_doubt=was.in_doubt + (spent if verb == "settle_in_doubt" else 0),
                overrun=was.overrun + over,
            )
            books.journal.append(
                Movement(verb=verb, reservation=reservation, reserved=reserved, spent=spent)
            )


AnyLedger = Ledger | PlainLedger


def play(ledger: AnyLedger, table: str) -> None:
    """Play a table of events, one a line, and compare each with the outcome in its margin."""
    for line in filter(None, map(str.strip, table.splitlines())):
        event, _, outcome = (part.strip() for part in line.partition("|"))
        verb, account, *rest = event.split()
        amount = {"-": None, "max": AMOUNT_NANODOLLARS_MAX}.get(rest[-1]) if rest else None
        if rest and rest[-1].isdigit():
            amount = int(rest[-1])
        if verb == "open":
            ledger.open(account, limit=amount)
        elif verb == "limit":
            assert amount is not None
            ledger.set_limit(account, amount)
        elif verb == "balance":
            found = ledger.balance(account)
            seen = f"{found.spent} spent {found.reserved} reserved"
            seen += f" {found.in_doubt} in doubt" if found.in_doubt else ""
            seen += f" {found.overrun} overrun" if found.overrun else ""
            assert seen == outcome, line
        elif verb == "doubt":
            assert ledger.settle_in_doubt(account, rest[0]) == outcome, line
        elif verb == "release":
            assert ledger.release(account, rest[0]) == outcome, line
        else:
            assert amount is not None
            assert getattr(ledger, verb)(account, rest[0], amount) == outcome, line
    for account in ("s", "t", FLEET):
        assert_the_journal_sums_to_the_balance(ledger, account)


def assert_the_journal_sums_to_the_balance(ledger: AnyLedger, account: str) -> None:
    moves, balance = list(ledger.journal(account)), ledger.balance(account)
    assert sum(move.reserved for move in moves) == balance.reserved
    assert sum(move.spent for move in moves) == balance.spent
    in_doubt = [move.spent for move in moves if move.verb in IN_DOUBT]
    assert sum(in_doubt) == balance.in_doubt


class LedgerContract:
    """What any ledger promises."""

    def test_a_call_is_reserved_then_settled_and_what_it_did_not_use_is_free_again(
        self, ledger: AnyLedger
    ) -> None:
        play(
            ledger,
            """
            open    s 100
            reserve s a 60  | created
            balance s       | 0 spent 60 reserved
            settle  s a 10  | settled
            balance s       | 10 spent 0 reserved
            reserve s b 90  | created
            balance s       | 10 spent 90 reserved
            """,
        )

    def test_the_limit_is_checked_at_reserve_to_the_last_nanodollar(
        self, ledger: AnyLedger
    ) -> None:
        play(
            ledger,
            """
            open    s 100
            reserve s a 101 | exceeds_budget
            balance s       | 0 spent 0 reserved
            reserve s b 60  | created
            reserve s c 41  | exceeds_budget
            reserve s d 40  | created
            reserve s e 1   | exceeds_budget
            reserve s f 0   | created
            balance s       | 0 spent 100 reserved
            """,
        )

    def test_doing_anything_twice_is_doing_it_once(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            """
            open    s 100
            reserve s a 60  | created
            reserve s a 60  | exists
            reserve s a 61  | amount_differs
            settle  s a 10  | settled
            settle  s a 10  | already_settled
            settle  s a 99  | already_settled
            doubt   s a     | already_settled
            release s a     | already_settled
            reserve s a 60  | already_settled
            balance s       | 10 spent 0 reserved
            reserve s b 5   | created
            release s b     | released
            release s b     | already_released
            settle  s b 5   | already_released
            doubt   s b     | already_released
            reserve s b 5   | already_released
            open    s 9999
            reserve s c 91  | exceeds_budget
            balance s       | 10 spent 0 reserved
            """,
        )

    def test_what_was_never_reserved_can_be_neither_settled_nor_released(
        self, ledger: AnyLedger
    ) -> None:
        play(
            ledger,
            """
            reserve s a 1   | not_found
            open    s 100
            settle  s a 1   | not_found
            doubt   s a     | not_found
            release s a     | not_found
            reserve t a 1   | not_found
            balance s       | 0 spent 0 reserved
            """,
        )

    def test_a_call_in_doubt_is_spent_in_full_and_reported_apart(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            """
            open    s 100
            reserve s a 60  | created
            doubt   s a     | settled
            balance s       | 60 spent 0 reserved 60 in doubt
            doubt   s a     | already_settled
            reserve s b 41  | exceeds_budget
            balance fleet   | 60 spent 0 reserved 60 in doubt
            """,
        )

    def test_a_bill_above_its_reservation_is_recorded_as_it_is_and_raises_the_alarm(
        self, ledger: AnyLedger
    ) -> None:
        play(
            ledger,
            """
            open    s 100
            reserve s a 60  | created
            settle  s a 130 | overrun
            balance s       | 130 spent 0 reserved 70 overrun
            balance fleet   | 130 spent 0 reserved 70 overrun
            reserve s b 1   | exceeds_budget
            reserve s c 0   | exceeds_budget
            """,
        )
        assert ledger.balance("s").available == 0

    def test_a_study_stops_at_the_fleets_limit_too(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            """
            open    fleet 100
            open    s 80
            open    t 80
            reserve s a 70  | created
            reserve t a 40  | exceeds_parent_budget
            balance t       | 0 spent 0 reserved
            reserve t a 30  | created
            balance fleet   | 0 spent 100 reserved
            settle  s a 20  | settled
            reserve t b 50  | created
            reserve s b 61  | exceeds_budget
            balance fleet   | 20 spent 80 reserved
            """,
        )

    def test_the_fleet_is_counted_before_it_has_a_limit(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            """
            open    s 80
            reserve s a 70  | created
            balance fleet   | 0 spent 70 reserved
            open    fleet 100
            reserve s b 10  | created
            limit   fleet 90
            open    t 80
            reserve t a 11  | exceeds_parent_budget
            reserve t a 10  | created
            """,
        )

    def test_limits_are_raised_and_lowered_and_take_nothing_back(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            """
            open    s 100
            reserve s a 90  | created
            reserve s b 90  | exceeds_budget
            limit   s 180
            reserve s b 90  | created
            limit   s 50
            reserve s c 1   | exceeds_budget
            settle  s a 90  | settled
            settle  s b 90  | settled
            balance s       | 180 spent 0 reserved
            """,
        )

    def test_an_account_without_a_limit_counts_and_never_refuses(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            """
            open    s -
            reserve s a 70000000000 | created
            reserve s b 70000000000 | created
            settle  s a 70000000000 | settled
            balance s               | 70000000000 spent 70000000000 reserved
            """,
        )
        assert ledger.balance("s").limit is None
        assert ledger.balance("s").available == AMOUNT_NANODOLLARS_MAX

    def test_a_call_that_costs_nothing_moves_nothing(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            """
            open    s 100
            reserve s a 0   | created
            reserve s b 0   | created
            reserve s c 0   | created
            settle  s a 0   | settled
            doubt   s b     | settled
            release s c     | released
            balance s       | 0 spent 0 reserved
            """,
        )

    def test_the_largest_amounts_stay_exact(self, ledger: AnyLedger) -> None:
        play(
            ledger,
            f"""
            open    s max
            reserve s a {AMOUNT_NANODOLLARS_MAX - 1} | created
            reserve s b 2                            | exceeds_budget
            reserve s c 1                            | created
            reserve s c 1                            | exists
            reserve s d {AMOUNT_NANODOLLARS_MAX}     | exceeds_budget
            settle  s a {AMOUNT_NANODOLLARS_MAX - 2} | settled
            balance s | {AMOUNT_NANODOLLARS_MAX - 2} spent 1 reserved
            settle  s c {AMOUNT_NANODOLLARS_MAX}     | overrun
            """,
        )
        assert ledger.balance("s").spent == 2 * AMOUNT_NANODOLLARS_MAX - 2
        assert ledger.balance("s").overrun == AMOUNT_NANODOLLARS_MAX - 1

    def test_a_journal_that_was_summed_up_sums_to_the_balance_and_goes_on(
        self, ledger: AnyLedger
    ) -> None:
        ledger.open("s", limit=1000)
        for name in "abcd":
            ledger.reserve("s", name, 100)
        ledger.settle("s", "a", 10)
        ledger.settle_in_doubt("s", "b")
        ledger.release("s", "c")
        before = ledger.balance(FLEET)
        assert ledger.sum_up(FLEET, before_ms=FAR_FUTURE_MS) == 7
        assert ledger.sum_up(FLEET, before_ms=FAR_FUTURE_MS) == 0
        assert ledger.balance(FLEET) == before
        assert_the_journal_sums_to_the_balance(ledger, FLEET)
        assert len(list(ledger.journal("s"))) == 7
        ledger.settle("s", "d", 50)  # what was open stays open
        told = [(m.verb, m.reservation, m.reserved, m.spent) for m in ledger.journal(FLEET)]
        assert told == [
            ("brought_forward_in_doubt", "", 0, 100),
            ("brought_forward", "", 100, 10),
            ("settle", "d", -100, 50),
        ]
        assert ledger.sum_up(FLEET, before_ms=FAR_FUTURE_MS) == 1
        assert_the_journal_sums_to_the_balance(ledger, FLEET)

    def test_open_reservations_are_those_neither_settled_nor_released(
        self, ledger: AnyLedger
    ) -> None:
        ledger.open("s", limit=100)
        for name in "abcd":
            ledger.reserve("s", name, 10)
        ledger.settle("s", "a", 10)
        ledger.release("s", "b")
        ledger.settle_in_doubt("s", "c")
        assert ledger.open_reservations("s") == ["d"]

    def test_the_journal_tells_every_movement_in_order(self, ledger: AnyLedger) -> None:
        ledger.open("s", limit=100)
        ledger.reserve("s", "a", 60)
        ledger.reserve("s", "b", 60)
        ledger.settle("s", "a", 10)
        ledger.reserve("s", "b", 60)
        ledger.release("s", "b")
        told = [(m.verb, m.reservation, m.reserved, m.spent) for m in ledger.journal("s")]
        assert told == [
            ("reserve", "a", 60, 0),
            ("settle", "a", -60, 10),
            ("reserve", "b", 60, 0),
            ("release", "b", -60, 0),
        ]
        assert list(ledger.journal(FLEET)) == list(ledger.journal("s"))


class TestThePlainModel(LedgerContract):
    @pytest.fixture
    def ledger(self) -> PlainLedger:
        return PlainLedger()


class TestRedis(LedgerContract):
    @pytest.fixture
    def ledger(self, server: Client) -> Ledger:
        return Ledger(server)

    def test_an_amount_that_is_not_whole_and_in_bounds_never_reaches_a_script(
        self, ledger: Ledger
    ) -> None:
        ledger.open("s", limit=100)
        for amount in (-1, 1.5, True, AMOUNT_NANODOLLARS_MAX + 1, float("nan")):
            with pytest.raises(ValueError, match="nanodollars"):
                ledger.reserve("s", "a", amount)  # type: ignore[arg-type]
        assert list(ledger.journal("s")) == []
        assert ledger.open_reservations("s") == []


ACCOUNTS = st.sampled_from(["s", "t", FLEET])
RESERVATIONS = st.sampled_from("abcdef")
AMOUNTS = st.one_of(
    st.integers(0, 40), st.sampled_from([AMOUNT_NANODOLLARS_MAX, AMOUNT_NANODOLLARS_MAX - 1])
)


class BothLedgers(RuleBasedStateMachine):
    """The same random events on Redis and on the model: they must answer and stand the same."""

    client: Client

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.real, self.plain = Ledger(self.client), PlainLedger()

    @rule(account=ACCOUNTS, limit=st.one_of(st.none(), AMOUNTS))
    def open(self, account: str, limit: int | None) -> None:
        self.real.open(account, limit=limit)
        self.plain.open(account, limit=limit)

    @rule(account=ACCOUNTS, limit=AMOUNTS)
    def set_limit(self, account: str, limit: int) -> None:
        if self.plain.exists(account):
            self.real.set_limit(account, limit)
            self.plain.set_limit(account, limit)

    @rule(account=ACCOUNTS, reservation=RESERVATIONS, amount=AMOUNTS)
    def reserve(self, account: str, reservation: str, amount: int) -> None:
        verdict = self.real.reserve(account, reservation, amount)
        assert verdict == self.plain.reserve(account, reservation, amount)
        if verdict == Verdict.CREATED:
            for name in (account, FLEET):
                stands = self.real.balance(name)
                assert stands.limit is None or stands.spent + stands.reserved <= stands.limit

    @rule(account=ACCOUNTS, reservation=RESERVATIONS, cost=AMOUNTS)
    def settle(self, account: str, reservation: str, cost: int) -> None:
        verdict = self.real.settle(account, reservation, cost)
        assert verdict == self.plain.settle(account, reservation, cost)

    @rule(account=ACCOUNTS, reservation=RESERVATIONS)
    def settle_in_doubt(self, account: str, reservation: str) -> None:
        verdict = self.real.settle_in_doubt(account, reservation)
        assert verdict == self.plain.settle_in_doubt(account, reservation)

    @rule(account=ACCOUNTS, reservation=RESERVATIONS)
    def release(self, account: str, reservation: str) -> None:
        verdict = self.real.release(account, reservation)
        assert verdict == self.plain.release(account, reservation)

    @rule()
    def sum_up(self) -> None:
        counted = self.real.sum_up(FLEET, before_ms=FAR_FUTURE_MS)
        assert counted == self.plain.sum_up(FLEET, before_ms=FAR_FUTURE_MS)

    @invariant()
    def both_stand_the_same(self) -> None:
        for account in ("s", "t", FLEET):
            assert self.real.balance(account) == self.plain.balance(account)
            assert list(self.real.journal(account)) == list(self.plain.journal(account))
            found = sorted(self.real.open_reservations(account))
            assert found == sorted(self.plain.open_reservations(account))
            assert_the_journal_sums_to_the_balance(self.real, account)


def test_redis_and_the_model_agree_on_any_sequence_of_events(server: Client) -> None:
    machine = type("Both", (BothLedgers,), {"client": server})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

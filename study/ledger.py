"""Ledger: the one place where money moves, in three verbs, after two-phase transfers.

`reserve` before a call, `settle` after it, `release` only if the call was provably not billed. The
limit is checked at `reserve`, in one script for the account and its parent, so that
`spent + reserved <= limit` holds at every instant, for any number of workers, through any crash.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from study import keys, scripts
from study.connection import Client
from study.errors import InfrastructureError
from study.money import AMOUNT_NANODOLLARS_MAX

JOURNAL_BLOCK: Final = 1000
"""Entries read at a time: bounds the memory of reading a long journal."""


class Verdict(StrEnum):
    """What the ledger answers."""

    CREATED = "created"
    EXISTS = "exists"
    AMOUNT_DIFFERS = "amount_differs"
    EXCEEDS_BUDGET = "exceeds_budget"
    EXCEEDS_PARENT_BUDGET = "exceeds_parent_budget"
    NOT_FOUND = "not_found"
    SETTLED = "settled"
    OVERRUN = "overrun"
    RELEASED = "released"
    ALREADY_SETTLED = "already_settled"
    ALREADY_RELEASED = "already_released"


@dataclass(frozen=True, kw_only=True)
class Balance:
    """An account at one instant, in nanodollars; `limit` is None where there is none.

    `in_doubt` is the part of `spent` that was settled in full because nobody knows what was billed;
    `overrun` is what was billed above reservations: anything but 0 is an alarm.
    """

    limit: int | None
    spent: int
    reserved: int
    in_doubt: int
    overrun: int

    @property
    def available(self) -> int:
        """What can still be reserved."""
        if self.limit is None:
            return AMOUNT_NANODOLLARS_MAX
        return max(0, self.limit - self.spent - self.reserved)


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One entry of a journal: what it added to `reserved` and to `spent` (nanodollars).

    Entries that were summed up are two: `brought_forward_in_doubt` what was settled in doubt, and
    `brought_forward` all else; they have no reservation.
    """

    verb: str
    reservation: str
    reserved: int
    spent: int


class Ledger:
    """The accounts in one Redis.

    Args:
        redis: a client with `decode_responses=True`; AOF and noeviction are its server's business.
    """

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._reserve = scripts.load(redis, "reserve")
        self._settle = scripts.load(redis, "settle")
        self._release = scripts.load(redis, "release")
        self._close = scripts.load(redis, "close_account")
        self._sum_up = scripts.load(redis, "sum_up")

    def open(self, account: str, *, limit: int | None) -> None:
        """Open an account, or leave it as it is if there is one: twice is the same as once.

        An account that has no limit yet gets this one: the fleet's is there as soon as a study's
        money has moved.
        """
        key = keys.account(account)
        with self._redis.pipeline() as pipe:
            for name in ("spent", "reserved", "in_doubt", "overrun"):
                pipe.hsetnx(key, name, 0)
            if limit is not None:
                pipe.hsetnx(key, "limit", _checked(limit))
            pipe.execute()

    def set_limit(self, account: str, limit: int) -> None:
        """Raise or lower a limit; below what is spent, it stops new calls and takes nothing back."""
        self._redis.hset(keys.account(account), "limit", _checked(limit))

    def exists(self, account: str) -> bool:
        """Whether there is such an account."""
        return bool(self._redis.exists(keys.account(account)))

    def balance(self, account: str) -> Balance:
        """What an account stands at; zeros where there is none."""
        [found] = self.balances([account])
        return found

    def balances(self, accounts: Sequence[str]) -> list[Balance]:
        """What several accounts stand at, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for account in accounts:
                pipe.hgetall(keys.account(account))
            return [_balance(found) for found in pipe.execute()]

    def reserve(self, account: str, reservation: str, amount: int) -> Verdict:
        """Set aside the worst case of a call. A repeat with the same amount answers EXISTS.

        Returns:
            CREATED, EXISTS, AMOUNT_DIFFERS, EXCEEDS_BUDGET, EXCEEDS_PARENT_BUDGET, ALREADY_SETTLED,
            ALREADY_RELEASED, or NOT_FOUND where there is no such account.
        """
        return Verdict(self._reserve(_keys(account), [reservation, _checked(amount)]))

    def settle(self, account: str, reservation: str, cost: int) -> Verdict:
        """Record what a call cost; the rest of its reservation is free again.

        Returns:
            SETTLED, OVERRUN (recorded as it is; an alarm), ALREADY_SETTLED, ALREADY_RELEASED or
            NOT_FOUND.
        """
        return Verdict(self._settle(_keys(account), [reservation, _checked(cost)]))

    def queue_settle(self, pipe: Client, account: str, reservation: str, cost: int) -> None:
        """`settle`, among the commands of a pipeline; its word there is a `Verdict`."""
        scripts.queue(pipe, "settle", _keys(account), [reservation, _checked(cost)])

    def settle_in_doubt(self, account: str, reservation: str) -> Verdict:
        """Settle in full, since nobody knows whether the call was billed; answers as `settle`."""
        return Verdict(self._settle(_keys(account), [reservation, "in_doubt"]))

    def release(self, account: str, reservation: str) -> Verdict:
        """Give back a reservation, only if the call was provably not billed.

        Returns:
            RELEASED, ALREADY_SETTLED, ALREADY_RELEASED or NOT_FOUND.
        """
        return Verdict(self._release(_keys(account), [reservation]))

    def close(self, account: str) -> bool:
        """End an account below another: it pays for no call any more, and keeps its sums.

        Its reservations are forgotten, and its journal is one entry with the sum of all: each of the
        movements stands in its parent's, too. Twice is the same as once.

        Returns:
            Whether it is closed: not while anything is reserved, nor where there is no such account.
        """
        own = [keys.account(account), keys.reservations(account), keys.journal(account)]
        return bool(self._close(own, [account]) == "closed")

    def open_reservations(self, account: str) -> list[str]:
        """Ids of the reservations that are neither settled nor released."""
        found = self._redis.hscan_iter(keys.reservations(account), count=JOURNAL_BLOCK)
        # By way of a dict: a scan may show an entry twice while the hash grows.
        return list({name: None for name, state in found if state.startswith("reserved:")})

    def sum_up(self, account: str, *, before_ms: int) -> int:
        """Replace a journal's old entries by their sums; its balance is proven by it as before.

        Block by block, each in one script: at any instant the journal sums to the balance, and a
        repeat goes on where one was broken off. Only for accounts at the top: what lies below
        another is closed as it goes.

        Args:
            account: whose.
            before_ms: entries of before this moment (Redis's clock, ms since 1970) are summed up.

        Returns:
            How many entries there were.
        """
        if parent_account(account) is not None:
            raise ValueError(f"{account} is no account at the top: close it")
        names = [keys.journal(account), keys.brought_forward(account)]
        total = 0
        while count := int(self._sum_up(names, [max(0, before_ms - 1), JOURNAL_BLOCK])):
            total += count
        return total

    def journal(self, account: str) -> Iterator[Movement]:
        """Every movement of an account, oldest first; what was summed up stands before all others.

        Raises:
            InfrastructureError: entries were summed up while it was read. Read it again.
        """
        last, summed_up = "-", None
        while True:
            with self._redis.pipeline() as pipe:  # at one instant
                pipe.hgetall(keys.brought_forward(account))
                pipe.xrange(keys.journal(account), min=last, count=JOURNAL_BLOCK)
                sums, entries = pipe.execute()
            if summed_up is None:
                summed_up = sums
                yield from _brought_forward(sums)
            if sums != summed_up:
                raise InfrastructureError(
                    f"the journal of {account} was summed up while it was read. Read it again"
                )
            if not entries:
                return
            for _, entry in entries:
                yield Movement(
                    verb=entry["verb"],
                    reservation=entry["id"],
                    reserved=int(entry["reserved"]),
                    spent=int(entry["spent"]),
                )
            last = f"({entries[-1][0]}"


def _brought_forward(sums: Mapping[str, str]) -> Iterator[Movement]:
    if sums:
        spent, in_doubt = int(sums["spent"]), int(sums["in_doubt"])
        for verb, reserved, part in (
            ("brought_forward_in_doubt", 0, in_doubt),
            ("brought_forward", int(sums["reserved"]), spent - in_doubt),
        ):
            yield Movement(verb=verb, reservation="", reserved=reserved, spent=part)


def parent_account(name: str) -> str | None:
    """The account above an account; None for those at the top."""
    if name in (keys.FLEET_ACCOUNT, keys.REHEARSALS_ACCOUNT):
        return None
    return keys.REHEARSALS_ACCOUNT if name.startswith(keys.REHEARSAL_PREFIX) else keys.FLEET_ACCOUNT


def _balance(found: Mapping[str, str]) -> Balance:
    limit = found.get("limit")
    return Balance(
        limit=None if limit is None else int(limit),
        spent=int(found.get("spent", 0)),
        reserved=int(found.get("reserved", 0)),
        in_doubt=int(found.get("in_doubt", 0)),
        overrun=int(found.get("overrun", 0)),
    )


def _keys(account: str) -> list[str]:
    own = [keys.account(account), keys.reservations(account), keys.journal(account)]
    parent = parent_account(account)
    if parent is None:
        return own
    return [*own, keys.account(parent), keys.journal(parent)]


def _checked(amount: int) -> int:
    # Before any script runs: one that stopped halfway would leave half a movement behind.
    if type(amount) is not int or not 0 <= amount <= AMOUNT_NANODOLLARS_MAX:
        raise ValueError(f"{amount!r} nanodollars is not a whole amount between 0 and 2^53 - 1")
    return amount

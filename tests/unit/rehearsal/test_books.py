"""The books: exact money, and figures that add up."""

from decimal import Decimal

import pytest

from rehearsal import CallRecord, Price
from rehearsal.books import Bookkeeper

RECORD = CallRecord(
    id="c1", model="m", problem="p", n=2, prompt_tokens=10, completion_tokens=20, nanodollars=35_000
)


@pytest.mark.parametrize(
    ("price", "prompt_tokens", "completion_tokens", "nanodollars"),
    [
        ((0.5, 1.5), 1000, 1000, 2_000_000),
        (("0.15", "0.60"), 1, 1, 750),
        ((0.1, 0.2), 3, 0, 300),  # a float means what it prints as: 300, not 300.00000000000006
        (("0.0001", "0"), 1, 0, 1),  # a tenth of a nanodollar is billed as one
        ((0, 0), 5, 5, 0),
        ((Decimal("2.5"), Decimal(10)), 1_000_000, 1_000_000, 12_500_000_000),
    ],
)
def test_a_call_is_billed_in_whole_nanodollars_rounded_up(
    price: tuple[object, object], prompt_tokens: int, completion_tokens: int, nanodollars: int
) -> None:
    bill = Price.of(price).bill_nanodollars(
        prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
    )
    assert bill == nanodollars


def test_a_billed_call_is_in_the_books_before_it_is_delivered() -> None:
    keeper = Bookkeeper()
    keeper.arrive()
    keeper.ask("m")
    number = keeper.bill(RECORD)
    before = keeper.read()
    assert (before.billed_calls, before.completed, before.in_flight) == (1, 0, 1)
    assert [record.delivered for record in before.records] == [False]
    keeper.leave("200")
    keeper.deliver(number)
    after = keeper.read()
    assert (after.completed, after.in_flight, after.most_at_once) == (1, 0, 1)
    assert [record.delivered for record in after.records] == [True]
    assert after.by_model["m"].billed_nanodollars == after.billed_nanodollars == 35_000
    assert after.as_stats()["billed_usd"] == "0.000035000"

"""Money at its edges."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study import money


@pytest.mark.parametrize("turn", [money.from_usd, money.limit_from_usd])
@pytest.mark.parametrize(
    "wrong", [-1, "nan", float("nan"), float("inf"), "-inf", 1e8, "x", "", "sNaN", "1e999999"]
)
def test_what_is_no_amount_is_refused(turn: object, wrong: object) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        turn(wrong)  # type: ignore[operator]


@given(st.integers(0, money.AMOUNT_NANODOLLARS_MAX))
def test_whole_nanodollars_are_exact_by_way_of_decimals(amount: int) -> None:
    usd = Decimal(amount).scaleb(-9)
    assert money.from_usd(usd) == money.limit_from_usd(usd) == amount


@given(st.floats(0, 9e6))
def test_bills_round_up_and_limits_down(usd: float) -> None:
    exact = Fraction(str(usd)) * money.NANODOLLARS_PER_DOLLAR
    assert exact <= money.from_usd(usd) < exact + 1
    assert exact - 1 < money.limit_from_usd(usd) <= exact


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (50_000, "$0.00005"),
        (123_456_789, "$0.1235"),
        (1_000_000_000, "$1.00"),
        (1_234_567_000_000_000, "$1,234,567.00"),
    ],
)
def test_people_read_as_many_decimals_as_say_something(amount: int, text: str) -> None:
    assert money.show(amount) == text

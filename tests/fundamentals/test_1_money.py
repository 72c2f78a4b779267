"""Lesson 1: money is a whole number of nanodollars."""

from study import money


def test_a_dollar_is_a_billion_nanodollars() -> None:
    assert money.from_usd(1) == 1_000_000_000


def test_dollars_become_nanodollars_by_their_decimal_text_not_by_their_float() -> None:
    assert int(2.01 * 1e9) == 2_009_999_999  # what floats would make of it
    assert money.from_usd(2.01) == 2_010_000_000


def test_a_bill_is_rounded_up_so_that_it_is_never_understated() -> None:
    assert money.from_usd("0.0000000001") == 1


def test_a_limit_is_rounded_down_so_that_it_is_never_exceeded() -> None:
    assert money.limit_from_usd("0.0000000019") == 1


def test_people_read_dollars() -> None:
    assert money.show(4_000_000_000) == "$4.00"
    assert money.show(12_345_678) == "$0.01235"

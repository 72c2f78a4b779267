"""Money is an integer count of nanodollars, so that sums are exact and a limit is a limit."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

NANODOLLARS_PER_DOLLAR = 1_000_000_000
AMOUNT_NANODOLLARS_MAX = 2**53 - 1
"""About nine million dollars: past it Lua's numbers stop being exact."""


def from_usd(usd: Decimal | float | int | str) -> int:
    """Turn dollars into nanodollars, rounding up, so that a bill is never understated.

    Raises:
        ValueError: if the amount is negative, not a number, or too large to be exact.
    """
    return _rounded(usd, ROUND_CEILING)


def limit_from_usd(usd: Decimal | float | int | str) -> int:
    """Turn a limit's dollars into nanodollars, rounding down, so that it is never exceeded.

    Raises:
        ValueError: as `from_usd`.
    """
    return _rounded(usd, ROUND_FLOOR)


def to_usd(amount_nanodollars: int) -> float:
    """Turn nanodollars into dollars, for people and for JSON."""
    return amount_nanodollars / NANODOLLARS_PER_DOLLAR


def show(amount_nanodollars: int) -> str:
    """Write an amount for people: two decimals where that says enough, more where it does not."""
    usd = to_usd(amount_nanodollars)
    if usd == 0 or abs(usd) >= 1:
        return f"${usd:,.2f}"
    text = f"{usd:.4g}" if abs(usd) >= 0.0001 else f"{usd:.9f}".rstrip("0")
    return "$" + text.ljust(len("0.00"), "0")


def _rounded(usd: Decimal | float | int | str, rounding: str) -> int:
    # By way of its decimal text: int(2.01 * 1e9) is 2,009,999,999.
    try:
        amount = (Decimal(str(usd)) * NANODOLLARS_PER_DOLLAR).to_integral_value(rounding)
    except ArithmeticError:  # no number, or one past all bounds
        amount = Decimal(-1)
    if amount.is_nan() or not 0 <= amount <= AMOUNT_NANODOLLARS_MAX:
        raise ValueError(f"{usd} dollars is not an amount between 0 and 9 million")
    return int(amount)

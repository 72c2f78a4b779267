"""Seeded chance as pure functions of names, so that an outcome depends on what it is for, not on when."""

from __future__ import annotations

from hashlib import blake2b
from statistics import NormalDist

_STANDARD_NORMAL = NormalDist()


def unit(*names: object) -> float:
    """Draw a number in (0, 1) that is a function of the names alone.

    Args:
        names: What the number is for: a seed, then words and numbers.

    Returns:
        The same number for the same names, uniform over different ones.
    """
    digest = blake2b("\x00".join(map(repr, names)).encode(), digest_size=7).digest()
    return (int.from_bytes(digest, "big") >> 3 | 1) / (1 << 53)


def normal(*names: object) -> float:
    """Draw a standard normal number that is a function of the names alone."""
    return _STANDARD_NORMAL.inv_cdf(unit(*names))

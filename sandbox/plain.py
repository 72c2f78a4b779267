"""Plain values as JSON and back: all that passes between a program and the process that judges it.

Apart, because it stands between the two: what a program says is read with no code of the program's,
so no object of its making (equal to everything, say) gets into the judge. Stands alone, as the runner.
"""

from __future__ import annotations

import datetime
import importlib
import re
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

DIGITS_BITS = 4096  # longer integers go in hexadecimal: JSON's decimal digits are limited
KEYS: Any = type({}.keys())
ITEMS: Any = type({}.items())
TIMES = {kind.__name__: kind for kind in (datetime.date, datetime.datetime, datetime.time)}
NUMBERS = re.compile(r"[<>|=][biufc]\d+")
"""What numpy calls a kind of number; its other kinds hold addresses."""

Keep = Callable[[Any], Any]
"""What to put down for a value that is not plain; it may raise instead."""


class Malformed(Exception):
    """What came is no packed value."""


def pack(value: Any, keep: Keep) -> Any:
    """Turns a value into what JSON can hold; heirs of plain types go as the plain type they extend.

    Raises:
        RecursionError: on a value that is nested too deeply, or holds itself.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        number = int.__index__(value)
        return number if number.bit_length() <= DIGITS_BITS else ["int", format(number, "x")]
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return ["list", *[pack(item, keep) for item in list.__iter__(value)]]
    if isinstance(value, tuple):
        return ["tuple", *[pack(item, keep) for item in tuple.__iter__(value)]]
    if isinstance(value, dict):
        pairs = dict.items(value)
        return ["dict", *[[pack(key, keep), pack(item, keep)] for key, item in pairs]]
    if isinstance(value, set):
        return ["set", *[pack(item, keep) for item in set.__iter__(value)]]
    if isinstance(value, frozenset):
        return ["frozenset", *[pack(item, keep) for item in frozenset.__iter__(value)]]
    return _pack_rare(value, keep)


def _pack_rare(value: Any, keep: Keep) -> Any:
    kind = type(value)
    if isinstance(value, bytes):
        return ["bytes", bytes.hex(value)]
    if isinstance(value, bytearray):
        return ["bytearray", bytearray.hex(value)]
    if kind is complex:
        return ["complex", value.real, value.imag]
    if kind is range:
        return ["range", value.start, value.stop, value.step]
    if kind is Decimal:
        return ["decimal", str(value)]
    if kind is Fraction:
        return ["fraction", format(value.numerator, "x"), format(value.denominator, "x")]
    if kind is deque:
        return ["deque", value.maxlen, *[pack(item, keep) for item in value]]
    if kind in TIMES.values():
        return [kind.__name__, value.isoformat()]
    if kind is datetime.timedelta:
        return ["timedelta", value.days, value.seconds, value.microseconds]
    if kind is KEYS:
        return ["keys", *[pack(item, keep) for item in value]]
    if kind is ITEMS:
        return ["items", *[[pack(key, keep), pack(item, keep)] for key, item in value]]
    if is_array(value) and NUMBERS.fullmatch(value.dtype.str):
        return ["array", value.dtype.str, [*value.shape], value.tobytes().hex()]
    if kind.__module__ == "numpy" and hasattr(kind, "item") and not hasattr(kind, "__len__"):
        return pack(value.item(), keep)  # a number of numpy's equals Python's own
    return keep(value)


def is_array(value: Any) -> bool:
    """Whether it is an array of numpy's, which is not imported for that."""
    kind = type(value)
    return kind.__name__ == "ndarray" and kind.__module__ == "numpy"


def _array(numbers: str, shape: list[int], digits: str) -> Any:
    if not NUMBERS.fullmatch(numbers):
        raise Malformed
    numpy = importlib.import_module("numpy")
    return numpy.frombuffer(bytearray.fromhex(digits), numbers).reshape(shape)


def unpack(packed: Any, kept: Callable[[int], Any]) -> Any:
    """Turns JSON back into a value.

    Args:
        packed: what `pack` made, or whatever somebody else has sent in its place.
        kept: gives back a value that was not plain, by its number.

    Raises:
        Malformed: it is no packed value.
        RecursionError: it is nested too deeply.
    """
    if packed is None or isinstance(packed, (bool, int, float, str)):
        return packed
    if not isinstance(packed, list) or not packed or not isinstance(packed[0], str):
        raise Malformed
    kind, *parts = packed
    try:
        if kind in _MANY:
            return _MANY[kind]([unpack(part, kept) for part in parts])
        if kind in _PAIRS:
            return _PAIRS[kind]({unpack(key, kept): unpack(item, kept) for key, item in parts})
        if kind == "deque":
            return deque([unpack(part, kept) for part in parts[1:]], parts[0])
        if kind == "object" and type(parts[0]) is int:
            return kept(parts[0])
        return _RARE[kind](*parts)
    except (ArithmeticError, ImportError, KeyError, TypeError, ValueError, IndexError) as error:
        raise Malformed from error


_MANY: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "keys": lambda items: dict.fromkeys(items).keys(),
}
_PAIRS: dict[str, Callable[[dict[Any, Any]], Any]] = {"dict": dict, "items": dict.items}
_RARE: dict[str, Callable[..., Any]] = {
    "int": lambda digits: int(digits, 16),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": complex,
    "range": range,
    "decimal": Decimal,
    "fraction": lambda above, below: Fraction(int(above, 16), int(below, 16)),
    "array": _array,
    "timedelta": lambda days, seconds, microseconds: datetime.timedelta(
        days, seconds, microseconds
    ),
    **{name: kind.fromisoformat for name, kind in TIMES.items()},
}

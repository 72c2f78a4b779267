"""Plain values go over the wire and come back equal; what poses as one does not come along."""

import json
from collections import Counter, OrderedDict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as some

from sandbox.plain import Malformed, pack, unpack

hashable = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False)
    | some.complex_numbers(allow_nan=False)
    | some.text()
    | some.binary(),
    lambda inner: some.tuples(inner, inner) | some.frozensets(inner),
    max_leaves=5,
)
plain = some.recursive(
    hashable | some.sets(hashable),
    lambda inner: some.lists(inner) | some.dictionaries(hashable, inner) | some.tuples(inner),
    max_leaves=10,
)


def not_plain(value: Any) -> Any:
    raise LookupError(value)


def there_and_back(value: Any) -> Any:
    return unpack(json.loads(json.dumps(pack(value, not_plain))), lambda number: number)


@given(plain)
def test_a_plain_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), range(3), Decimal("1.10"), Fraction(-1, 3), {1: 2}.keys(),
     {1: 2}.items(), bytearray(b"x"), float("inf"), -0.0, "\udc80\0", deque([1, (2,)], 3), date.max,
     datetime(2020, 1, 2, 3, 4, 5, 6), datetime(2020, 1, 2, tzinfo=UTC), time(1, 2), timedelta(-1, 2, 3)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_the_rarer_kinds_come_back_equal(value: Any) -> None:
    assert (there_and_back(value) == value) is True
    assert type(there_and_back(value)) is type(value)


@pytest.mark.parametrize("kind", ["?", "i1", "<u4", ">i8", "f2", "f8", "c16"])
@pytest.mark.parametrize("shape", [(), (0, 2), (3,), (2, 3)])
def test_an_array_of_numbers_comes_back_equal(kind: str, shape: tuple[int, ...]) -> None:
    value = numpy.arange(numpy.prod(shape, dtype=int)).reshape(shape).astype(kind)
    back = there_and_back(value)
    assert numpy.array_equal(back, value)
    assert (back.dtype, back.shape, back.flags.writeable) == (value.dtype, shape, True)


@pytest.mark.parametrize("kind", [object, "datetime64[s]", "i4,i4", "U3"])
def test_an_array_of_something_else_is_not_plain(kind: Any) -> None:
    with pytest.raises(LookupError):
        there_and_back(numpy.zeros(2, kind))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Counter("aab"), {"a": 2, "b": 1}), (OrderedDict(a=1), {"a": 1}),
     (namedtuple("P", "x y")(1, 2), (1, 2)), (True, True)],
)  # fmt: skip
def test_an_heir_is_what_it_extends(value: Any, expected: Any) -> None:
    back = there_and_back(value)
    assert back == expected
    assert type(back) is type(expected)


@pytest.mark.parametrize("base", [int, float, str, list, tuple, dict, set, frozenset])
def test_an_heir_that_equals_everything_leaves_that_behind(base: type) -> None:
    heir = type("Liar", (base,), {"__eq__": lambda *_: True, "__hash__": None})
    assert there_and_back(heir()) != object()
    assert type(there_and_back(heir())) is base


@pytest.mark.parametrize(
    "packed",
    [[], [1], ["magic", 1], ["set", ["list"]], ["dict", [1]], ["int", "x"], ["range", 1, 2, 0],
     ["object", "x"], ["object"], ["fraction", "1", "0"], ["decimal", "x"], {"a": 1}, ["bytes", 1],
     ["array", "|O8", [1], "00" * 8], ["array", "<i4", [1], "00"], ["array", "<i4", 1], ["date", 1],
     ["deque"], ["deque", "x"], ["timedelta", 10**99, 0, 0]],
)  # fmt: skip
def test_what_is_no_packed_value_is_refused(packed: Any) -> None:
    with pytest.raises(Malformed):
        unpack(packed, lambda number: number)

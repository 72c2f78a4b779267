"""Odd values, and ways to put them into something that was right."""

import copy
import math
from typing import Any, Final

from hypothesis import strategies as st

TEXTS: Final = ["", " ", "\x00", "\x1b[31m", "\ud800", "é" * 3, "{", "}", "{}", "{x.y}", "{x!r}", "{0}",
                "../..", "~nobody/x", "a" * 5000, "python_tests", "a:b", "os:system", "http://[", "-1",
                "\u202e", "\ufeff", "{prompt}", "{{", "nan", "[bold]", "[/]", "sk-abc"]  # fmt: skip
NUMBERS: Final = [0, -1, 1, 2**31, 2**53 + 1, 10**400, -(10**400), 0.0, -0.0, 1e308, 5e-324, 0.5,
                  math.nan, math.inf, -math.inf]  # fmt: skip
ATOMS = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.booleans(),
    st.none(),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
)


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


VALUES = st.one_of(
    st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(["low", "high", "log", "role", "content", "column",
                                             "choices", "x", "", "temperature"]), inner, max_size=4),
        ),
        max_leaves=8,
    ),
    st.builds(nested, st.sampled_from([5, 60])),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, right: Any, *, values: Any = VALUES) -> Any:
    """Something right, with one to three of its parts exchanged, removed, doubled or renamed."""
    found = copy.deepcopy(right)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(found))
        if not places:
            return draw(values)
        holder, name = draw(st.sampled_from(places))
        if isinstance(holder, list) and name >= len(holder):
            continue
        if isinstance(holder, dict) and name not in holder:
            continue
        match draw(st.sampled_from(["exchange", "exchange", "remove", "rename", "wrap"])):
            case "exchange":
                holder[name] = copy.deepcopy(draw(values))
            case "remove":
                del holder[name]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.text(max_size=12) | st.sampled_from(TEXTS))] = holder.pop(name)
            case _:
                holder[name] = [holder[name]]
    return found


def _places(value: Any) -> Any:
    """(holder, key or index) of every part."""
    if isinstance(value, dict):
        for name in value:
            yield value, name
            yield from _places(value[name])
    elif isinstance(value, list) and len(value) < 50:
        for index, inner in enumerate(value):
            yield value, index
            if not (isinstance(inner, list) and len(inner) == 1):
                yield from _places(inner)

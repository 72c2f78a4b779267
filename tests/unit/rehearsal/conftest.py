"""Problems small enough to read, in the three shapes that datasets have."""

import pytest

from rehearsal import Problem

CLAMP = Problem(
    id="clamp",
    prompt='def clamp(x, low, high):\n    """Return x moved into the range."""\n',
    solution="    if x < low:\n        return low\n    return min(x, high)\n",
    entry_point="clamp",
)
TOTAL = Problem(
    id="total",
    prompt="Write a function that adds up a list.",
    solution="def total(values):\n    result = 0\n    for value in values:\n        result += value\n"
    "    return result\n",
    entry_point="total",
)
EGGS = Problem(
    id="eggs",
    prompt="Two hens lay three eggs each. How many eggs are there?",
    solution="2 * 3 = 6\n#### 6",
)
OPEN_ENDED = Problem(id="poem", prompt="Write a poem about rain.")


@pytest.fixture
def clamp() -> Problem:
    """A problem whose prompt begins the program, as in HumanEval."""
    return CLAMP


@pytest.fixture
def total() -> Problem:
    """A problem whose solution is a whole program, as in MBPP."""
    return TOTAL


@pytest.fixture
def eggs() -> Problem:
    """A problem whose solution is a plain answer, as in GSM8K."""
    return EGGS


@pytest.fixture
def open_ended() -> Problem:
    """A problem without a solution."""
    return OPEN_ENDED

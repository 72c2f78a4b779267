"""Race: the rungs that an arm climbs, and what a step is expected to be worth.

No rung waits for another: whoever's next step promises most per dollar makes it, be it the leader,
who may be overtaken, a follower, who may overtake, or an arm that nobody tried yet.
"""

import math
from dataclasses import dataclass
from typing import Final

FIRST_EXAMPLES: Final = 5
FIRST_DRAWS: Final = 2
REPEATED_DRAWS_MAX: Final = 2
"""For arms that repeat themselves: a second call may still differ from the first."""
FEW_DRAWS_MAX: Final = 8
"""Draws that pay even where n is 1, since they tell chance from skill."""
DRAWS_MAX: Final = 128
PRIOR_DRAWS: Final = 8.0
"""What is expected of an arm without draws weighs as much as so many."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """So many examples, with so many draws on each."""

    examples: int
    draws: int


def rungs(*, examples: int, n: int, repeats_itself: bool) -> list[Rung]:
    """The rungs of an arm: more examples first, then more draws of each, twice as many each time.

    Args:
        examples: how many tuning examples there are.
        n: the most answers that a request may ask for; more draws than that tell little.
        repeats_itself: whether the answers of a call are one text.
    """
    draws_max = REPEATED_DRAWS_MAX if repeats_itself else min(DRAWS_MAX, max(FEW_DRAWS_MAX, n))
    draws = 1 if repeats_itself else FIRST_DRAWS
    seen = min(FIRST_EXAMPLES, examples)
    ladder = [Rung(examples=seen, draws=draws)]
    while seen < examples:
        seen = min(2 * seen, examples)
        ladder.append(Rung(examples=seen, draws=draws))
    while draws < draws_max:
        draws = min(2 * draws, draws_max)
        ladder.append(Rung(examples=examples, draws=draws))
    return ladder


def gain(*, mean: float, rival: float, error: float, draws: int, draws_after: int) -> float:
    """How much better the best arm is expected to be known for a step (the knowledge gradient).

    After Frazier, Powell and Dayanik 2008: the step moves the arm's mean by a normal amount, and
    pays where that changes which arm is best.

    Args:
        mean: of the arm.
        rival: the mean of the best other arm.
        error: standard error of the arm's mean.
        draws: what the error comes from.
        draws_after: what it would come from after the step.
    """
    moves = error * math.sqrt(1.0 - (PRIOR_DRAWS + draws) / (PRIOR_DRAWS + draws_after))
    if moves <= 0.0:
        return 0.0
    behind = abs(mean - rival) / moves
    density = math.exp(-0.5 * behind**2) / math.sqrt(2 * math.pi)
    return moves * (density - behind * 0.5 * math.erfc(behind / math.sqrt(2)))


def error_after(*, error: float, draws: int, draws_after: int) -> float:
    """What the standard error will be when the draws that are out have come."""
    return error * math.sqrt((PRIOR_DRAWS + draws) / (PRIOR_DRAWS + draws_after))

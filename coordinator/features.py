"""Features: arms as vectors, so that what one arm shows tells of all that have something in common.

An arm's lead is a sum of effects: its model's, its template's, what the two do together, its other
parameters', and a smooth curve of its heat. Each column has a prior variance of one, times the
square of its block's scale, which is learned.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from study.config import Arm
from study.domains import Choice, Domain, Range
from study.space import SearchSpace

Floats = NDArray[np.float64]

HEAT_KNOTS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
HEAT_SCALE: Final = 0.4
"""How far apart two temperatures are before their effects have little to do with each other."""
RANGE_KNOTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
RANGE_SCALE: Final = 0.4
JITTER: Final = 1e-6
KNOWN_MAX: Final = 4096
"""Arms whose columns are remembered."""


def heat(arm: Arm) -> float:
    """How random the answers are: the temperature, or a top_p below 1 read as one."""
    return float(arm.params.get("temperature", 1.0)) * float(arm.params.get("top_p", 1.0))


@dataclass(frozen=True, kw_only=True)
class Block:
    """Columns that share a scale.

    Args:
        name: of the effect.
        columns: the arm's part of them.
        scale: the standard deviation expected before anything was seen.
    """

    name: str
    columns: Callable[[Arm], Floats]
    scale: float


class Features:
    """The columns of arms, block by block.

    Args:
        blocks: of the effects.
        space: of the arms.
    """

    def __init__(self, blocks: Sequence[Block], space: SearchSpace) -> None:
        self.blocks = list(blocks)
        self._known: dict[str, Floats] = {}
        widths = [len(block.columns(_any_arm(space))) for block in self.blocks]
        self.owner: NDArray[np.intp] = np.repeat(np.arange(len(widths)), widths)
        """[column]: whose block it is."""

    def __deepcopy__(self, _: object) -> Self:
        return self  # nothing of it ever changes

    def of(self, arms: Sequence[Arm]) -> Floats:
        """[arm, column], each column unscaled."""
        return np.array([self._one(arm) for arm in arms]).reshape(len(arms), len(self.owner))

    def scales(self, values: Sequence[float]) -> Floats:
        """[column]: the blocks' scales, one for each column."""
        return np.asarray(np.array(values)[self.owner])

    def _one(self, arm: Arm) -> Floats:
        known = self._known.get(arm.key)
        if known is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            known = np.concatenate([block.columns(arm) for block in self.blocks])
            self._known[arm.key] = known
        return known


def constant(_: Arm) -> Floats:
    """One column that all arms have."""
    return np.ones(1)


def indicator(values: Sequence[Any], of: Callable[[Arm], Any]) -> Callable[[Arm], Floats]:
    """A column for each value."""
    places = list(values)

    def columns(arm: Arm) -> Floats:
        row = np.zeros(len(places))
        row[places.index(of(arm))] = 1.0
        return row

    return columns


def together(
    one: Callable[[Arm], Floats], other: Callable[[Arm], Floats]
) -> Callable[[Arm], Floats]:
    """A column for each pair of columns."""
    return lambda arm: np.outer(one(arm), other(arm)).ravel()


def smooth(
    of: Callable[[Arm], float], knots: Sequence[float], scale: float
) -> Callable[[Arm], Floats]:
    """A Gaussian process of a number, by its values at some knots (Quinonero-Candela 2005, sec. 4)."""
    at = np.array(knots)
    kernel = np.exp(-0.5 * ((at[:, None] - at) / scale) ** 2) + JITTER * np.eye(len(at))
    root = np.linalg.inv(np.linalg.cholesky(kernel)).T
    return lambda arm: np.asarray(np.exp(-0.5 * ((of(arm) - at) / scale) ** 2) @ root)


def model_of(arm: Arm) -> str:
    """The arm's model."""
    return arm.model


def template_of(arm: Arm) -> int:
    """The arm's template."""
    return arm.template


def heat_knots(space: SearchSpace) -> tuple[float, ...]:
    """Where the curve of heat is pinned: as far as the space reaches."""
    high = max((_high(d) for d in (space.temperature, space.top_p) if d is not None), default=1.0)
    return tuple(knot for knot in HEAT_KNOTS if knot <= high + 0.2) or (0.0,)


def of_parameters(space: SearchSpace, scale: float) -> list[Block]:
    """A block for each API parameter that is searched: a curve of a range, else its values."""
    blocks = []
    for name, domain in space.params.items():
        if isinstance(domain, Range):
            columns = smooth(_placed(name, domain), RANGE_KNOTS, RANGE_SCALE)
        elif (each := values(space, name)) is not None:
            columns = each
        else:
            continue
        blocks.append(Block(name=name, columns=columns, scale=scale))
    return blocks


def values(space: SearchSpace, name: str) -> Callable[[Arm], Floats] | None:
    """A column for each value of a parameter, if there is a choice."""
    domain = space.params.get(name)
    if not isinstance(domain, Choice) or len(domain.values) < 2:
        return None
    return indicator([repr(value) for value in domain.values], _written(name))


def _placed(name: str, domain: Range) -> Callable[[Arm], float]:
    def at(value: float) -> float:
        return math.log(value) if domain.log else value

    low, high = at(domain.low), at(domain.high)
    return lambda arm: (at(float(arm.params.get(name, domain.low))) - low) / max(1e-9, high - low)


def _written(name: str) -> Callable[[Arm], str]:
    return lambda arm: repr(arm.params.get(name))


def _any_arm(space: SearchSpace) -> Arm:
    params = {n: d.low if isinstance(d, Range) else d.values[0] for n, d in space.params.items()}
    return Arm(model=space.models[0], template=0, params=params)


def _high(domain: Domain) -> float:
    return float(max(domain.values) if isinstance(domain, Choice) else domain.high)

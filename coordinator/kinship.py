"""Kinship: how alike two arms are; an arm that nobody tried yet is expected to do as its kin."""

import math
from typing import Final

import numpy as np

from coordinator.beliefs import Floats
from study.config import Arm

OTHER_MODEL: Final = 0.1
OTHER_TEMPLATE: Final = 0.5
OTHER_VALUE: Final = 0.6
TEMPERATURE_SCALE: Final = 0.25
LENGTH_SCALE: Final = 0.7
"""Of the logarithm of max_tokens."""
STRANGER_WEIGHT: Final = 0.05
"""The weight of knowing nothing, beside kin whose weights are at most 1."""
CONVINCING_DRAWS: Final = 10.0
"""An arm with so many draws counts half."""


class Kinship:
    """The weights that arms have in what is expected of another arm."""

    def __init__(self) -> None:
        self._arms: list[Arm] = []
        self._trust: list[float] = []
        self._known: dict[str, list[float]] = {}

    def add(self, arm: Arm) -> None:
        """Take an arm in."""
        self._arms.append(arm)
        self._trust.append(0.0)

    def learn(self, number: int, draws: int) -> None:
        """An arm has so many draws now."""
        self._trust[number] = draws / (draws + CONVINCING_DRAWS)

    def forget(self) -> None:
        """No arm has draws."""
        self._trust = [0.0] * len(self._arms)

    def shares(self, arm: Arm, *, but: int | None) -> tuple[Floats, float]:
        """The share of each arm, and the share of knowing nothing; they sum to 1."""
        likeness = self._known.setdefault(arm.key, [])
        for other in self._arms[len(likeness) :]:
            likeness.append(_likeness(arm, other))
        weights = np.array(likeness) * np.array(self._trust)
        if but is not None:
            weights[but] = 0.0
        total = weights.sum() + STRANGER_WEIGHT
        return weights / total, STRANGER_WEIGHT / total


def _likeness(one: Arm, other: Arm) -> float:
    likeness = 1.0
    if one.model != other.model:
        likeness *= OTHER_MODEL
    if one.template != other.template:
        likeness *= OTHER_TEMPLATE
    difference = abs(_heat(one) - _heat(other)) / TEMPERATURE_SCALE
    length = abs(math.log(one.max_tokens / other.max_tokens)) / LENGTH_SCALE
    likeness *= math.exp(-0.5 * (difference**2 + length**2))
    names = (set(one.params) | set(other.params)) - {"temperature", "top_p", "max_tokens"}
    for name in names:
        if one.params.get(name) != other.params.get(name):
            likeness *= OTHER_VALUE
    return likeness


def _heat(arm: Arm) -> float:
    """How random the answers are: the temperature, or a top_p below 1 read as one."""
    return min(float(arm.params.get("temperature", 1.0)), float(arm.params.get("top_p", 1.0)))

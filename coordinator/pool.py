"""Pool: what was bought of one arm, example by example; here, since one draw answers for every n."""

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from study.config import Arm
from study.messages import Scored
from study.metrics import RECOGNISED
from study.prices import Price


@dataclass(slots=True)
class Change:
    """What a cut makes of an arm's draws on an example: those that pass no more, and only now; tokens."""

    lost: int = 0
    gained: int = 0
    saved: float = 0.0


@dataclass
class Cell:
    """The draws of an arm on an example.

    Args:
        asked: draws planned so far, whatever came of them; the next one to ask for.
        ended: how many of them have come, or never will.
        draws: how many were scored.
        passes: how many of those passed.
        curve: n -> the metric of n answers, where answers are judged together: what the result said
            that was judged when most of them were known, of several the last one's by its draws.
        curve_of: that result's first draw.
        cut_draws: how many of the scored draws were looked at cut, too; so `cut_passes`, `cut_tokens`.
        changes: what each cut made of those, by its arm's key; nothing where it is not there.
    """

    asked: int = 0
    ended: int = 0
    draws: int = 0
    passes: int = 0
    curve: dict[int, float] = field(default_factory=dict)
    curve_of: int = -1
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    calls: int = 0
    answers: int = 0
    cut_draws: int = 0
    cut_passes: int = 0
    cut_tokens: float = 0.0
    changes: dict[str, Change] = field(default_factory=dict)

    @property
    def scored(self) -> bool:
        """Whether anything is known of the metric here."""
        return self.draws > 0


class Pool:
    """The cells of one arm.

    Args:
        arm: whose draws these are.
        examples: how many examples there are; a cell's index is its example's.
        price: of the arm's model.
        cuts: the arms that would have given the same answers, cut.

    `size` is how many examples there are, `draws` counts the scored ones, `examples` those that have any,
    `answers` what was paid for; `counts_as` are the count metrics with which all that a user's function
    said agrees.
    """

    def __init__(self, arm: Arm, examples: int, price: Price, cuts: Sequence[Arm] = ()) -> None:
        self.arm, self.price, self.cuts = arm, price, cuts
        self.draws = self.examples = self.errors = 0
        self.answers = 0
        self.counts_as = frozenset(RECOGNISED)
        self.size = examples

    @cached_property
    def cells(self) -> list[Cell]:
        """By example; made when first asked for, since most arms are only looked at."""
        return [Cell() for _ in range(self.size)]

    @property
    def untouched(self) -> bool:
        """Whether nothing was planned yet."""
        return "cells" not in self.__dict__

    @property
    def asked(self) -> list[int]:
        """How many draws are planned so far, by example."""
        return [0] * self.size if self.untouched else [cell.asked for cell in self.cells]

    @property
    def ended(self) -> list[int]:
        """How many of them have come, or never will, by example."""
        return [0] * self.size if self.untouched else [cell.ended for cell in self.cells]

    def record(self, index: int, result: Scored) -> None:
        """Take a result into its cell; one with an error says nothing, but its tokens count.

        The cell is another one then: whoever holds the last one reads on in peace.
        """
        cell = self.cells[index] = copy.copy(self.cells[index])
        cell.asked = max(cell.asked, result.first_draw + result.draws)
        cell.ended += result.draws
        cell.prompt_tokens += result.paid.prompt_tokens
        cell.output_tokens += result.paid.completion_tokens
        if result.paid.calls:
            cell.calls += result.paid.calls
            cell.answers += result.draws
            self.answers += result.draws
        if result.error or (result.passes is None and not result.curve):
            self.errors += 1
            return
        self.examples += not cell.scored
        self.draws += result.draws
        cell.draws += result.draws
        if result.passes is not None:
            cell.passes += sum(result.passes)
            _look_at_cuts(cell, result)
        if result.curve:
            self.counts_as &= frozenset(result.counts_as)
            _judge_together(cell, result.first_draw, result.curve)

    def frozen(self) -> Self:
        """What was bought so far, for a thread to read while more results come."""
        pool = copy.copy(self)
        if not self.untouched:
            pool.cells = list(self.cells)
        return pool


def _judge_together(cell: Cell, first_draw: int, curve: Mapping[int, float]) -> None:
    """Keep the curve of most answers; all were judged that were known, so the last n says how many."""
    if (max(curve), first_draw) > (max(cell.curve, default=0), cell.curve_of):
        cell.curve, cell.curve_of = dict(curve), first_draw


def _look_at_cuts(cell: Cell, result: Scored) -> None:
    if result.cuts is None or result.passes is None:
        return
    cell.cut_draws += result.draws
    cell.cut_passes += sum(result.passes)
    cell.cut_tokens += result.paid.completion_tokens
    for cut in result.cuts:
        change = cell.changes.setdefault(sys.intern(cut.arm), Change())
        for full, less in zip(result.passes, cut.passes, strict=True):
            change.lost += full and not less
            change.gained += less and not full
        change.saved += max(0.0, result.paid.completion_tokens - cut.output_tokens)

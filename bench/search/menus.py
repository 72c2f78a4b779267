"""What a model may say to a problem, as arrays: whatever is cut off it, passes and tokens are looked up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rehearsal.answers import Answer, Menu
from rehearsal.completion import cut
from rehearsal.tokens import count_tokens, cut_to_tokens

RIGHT, WRONG, OFF_FORMAT = 0, 1, 2
NEVER = 1 << 30
"""More tokens than any answer has: what matters was cut off by a stop string."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A problem's answers after the stop strings, one entry per answer of its menu.

    Args:
        tokens: of the answer.
        needed: how many of them must be kept for what matters to be there.
        kind: RIGHT, WRONG or OFF_FORMAT.
        weight: how often it is chosen among its kind.
    """

    tokens: np.ndarray
    needed: np.ndarray
    kind: np.ndarray
    weight: np.ndarray


def all_of(menu: Menu) -> list[tuple[int, Answer]]:
    """The answers with their kinds, in the order of the arrays."""
    kinds = ((RIGHT, menu.right), (WRONG, menu.wrong), (OFF_FORMAT, menu.off_format))
    return [(kind, answer) for kind, answers in kinds for answer in answers]


def stopped(menu: Menu, stop: tuple[str, ...]) -> Stopped:
    """Cut a menu's answers before the stop strings."""
    answers = all_of(menu)
    tokens, needed = [], []
    for kind, answer in answers:
        done = cut(answer.text, stop=stop, tokens_max=None)
        tokens.append(done.tokens)
        needed.append(_needed(done.text, answer.code_end) if kind == RIGHT else NEVER)
    return Stopped(
        tokens=np.array(tokens),
        needed=np.array(needed),
        kind=np.array([kind for kind, _ in answers]),
        weight=np.array([answer.weight for _, answer in answers]),
    )


def _needed(text: str, code_end: int) -> int:
    if len(text) < code_end:
        return NEVER
    least = count_tokens(text[:code_end])
    while len(cut_to_tokens(text, least)) < code_end:  # a token may go past the end of the code
        least += 1
    while least > 0 and len(cut_to_tokens(text, least - 1)) >= code_end:
        least -= 1
    return least


@dataclass(frozen=True, kw_only=True)
class Table:
    """All problems' stopped answers, padded to one rectangle (problems x answers)."""

    tokens: np.ndarray
    needed: np.ndarray
    kind: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Stopped]) -> "Table":
        """Put rows together; what is padded weighs nothing."""
        width = max(len(row.tokens) for row in rows)

        def padded(name: str, fill: float) -> np.ndarray:
            out = np.full((len(rows), width), fill, dtype=float if name == "weight" else int)
            for line, row in zip(out, rows, strict=True):
                line[: len(getattr(row, name))] = getattr(row, name)
            return out

        return cls(
            tokens=padded("tokens", 0),
            needed=padded("needed", NEVER),
            kind=padded("kind", OFF_FORMAT),
            weight=padded("weight", 0.0),
        )

    def kept(self, max_tokens: int) -> np.ndarray:
        """The share of right answers that outlive the cut, per problem."""
        return (self.weight * (self.needed <= max_tokens)).sum(axis=1)

    def length(self, max_tokens: int) -> np.ndarray:
        """Expected tokens, by kind and problem (3 x problems)."""
        cut_off = self.weight * np.minimum(self.tokens, max_tokens)
        return np.array([(cut_off * (self.kind == kind)).sum(axis=1) for kind in range(3)])


def judge(text: str, right: Sequence[tuple[str, int]]) -> bool:
    """Whether an answer is one of the right ones, as the API may have cut it.

    Args:
        text: the answer.
        right: texts of the problem's right answers, each with the length that must be kept.
    """
    return any(len(text) >= end and whole.startswith(text) for whole, end in right)

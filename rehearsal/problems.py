"""The problems that the stand-in can answer, apart because every source finds them by the prompt."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rehearsal.errors import ApiError

REMEMBERED_MAX = 100_000
"""How many rendered prompts are remembered with their problem: a study has examples x templates."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem as the stand-in knows it.

    Attributes:
        id: Its name, `task_id` in recorded completions.
        prompt: The text by which it is found in a request.
        solution: The canonical solution: the rest of the program that `prompt` begins, a whole
            program, or a plain answer. None where the dataset has none.
        entry_point: The function that is asked for, where it is a program.
        rendered: Fully rendered prompts, for exact matching.
    """

    id: str
    prompt: str
    solution: str | None = None
    entry_point: str | None = None
    rendered: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Problem:
        """Read a problem from a row {"id", "prompt", "solution", "entry_point", "prompts"}."""
        solution, entry_point = row.get("solution"), row.get("entry_point")
        return cls(
            id=str(row["id"]),
            prompt=str(row["prompt"]),
            solution=None if solution is None else str(solution),
            entry_point=str(entry_point) if entry_point else None,
            rendered=tuple(row.get("prompts") or ()),
        )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A problem as a request asks it: the template is what stands around the problem's prompt.

    Where the problem came with rendered prompts, the template is the index in that list. The bare
    prompt has the template "".
    """

    problem: Problem
    template: str


@dataclass(frozen=True)
class Problems:
    """A set of problems, found through the text of a request.

    Attributes:
        all: The problems.
    """

    all: tuple[Problem, ...]
    _remembered: dict[str, Asked] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any] | Problem]) -> Problems:
        """Make the set from rows or problems."""
        made = [row if isinstance(row, Problem) else Problem.from_row(row) for row in rows]
        problems = cls(tuple(sorted(made, key=lambda problem: -len(problem.prompt.strip()))))
        for problem in made:
            for index, text in enumerate(problem.rendered):
                problems._remembered[text] = Asked(problem=problem, template=str(index))
        return problems

    def find(self, text: str) -> Asked:
        """Find the problem that a request asks.

        Args:
            text: What the request says: all its messages but the assistant's.

        Returns:
            The problem whose rendered prompt is the text, or whose prompt occurs in it, the longest
            one where several do.

        Raises:
            ApiError: A 404, `unknown_problem`.
        """
        asked = self._remembered.get(text)
        if asked is None:
            asked = self._search(text)
            if len(self._remembered) < REMEMBERED_MAX:
                self._remembered[text] = asked
        return asked

    def _search(self, text: str) -> Asked:
        for problem in self.all:  # the longest prompt first
            prompt = problem.prompt.strip()
            if prompt and prompt in text:
                around = text.replace(prompt, "{prompt}", 1)
                # Whitespace at a prompt's ends is the problem's, not the template's.
                template = " ".join(around.split())
                return Asked(problem=problem, template="" if template == "{prompt}" else template)
        raise ApiError(
            404,
            "No problem that the rehearsal endpoint knows occurs in this prompt.",
            param="prompt",
            code="unknown_problem",
        )


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of a JSONL file, plain or compressed (.gz, .xz)."""
    openers: dict[str, Callable[..., IO[str]]] = {".gz": gzip.open, ".xz": lzma.open}
    with openers.get(path.suffix, open)(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)

"""The source of recorded answers: what real models really said, each at most once."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.completion import Completion, cut
from rehearsal.errors import ApiError
from rehearsal.problems import Asked, read_jsonl
from rehearsal.request import CompletionRequest
from rehearsal.surface import DEFAULT_TEMPERATURE

_Cell = tuple[str, str, float | None]


@dataclass(frozen=True, kw_only=True)
class _Row:
    text: str
    tokens_max: int | None


class Recorded:
    """Answers from rows {task_id, model, temperature, text, ...}, drawn without replacement.

    A cell is a problem, a model and a temperature. A request without a temperature is answered from
    the cell without one, else from that of the API's default. A row's own `max_tokens` says how much
    it was cut when it was recorded: a request that allows as many does not cut it again.
    """

    def __init__(self, rows: Path | str | Iterable[Mapping[str, Any]]) -> None:
        """Read the rows.

        Args:
            rows: A JSONL file (plain, .gz or .xz) or the rows themselves.
        """
        read = read_jsonl(Path(rows)) if isinstance(rows, Path | str) else rows
        self._cells: dict[_Cell, list[_Row]] = {}
        self._drawn: dict[_Cell, int] = {}
        self._shuffled: set[_Cell] = set()
        for row in read:
            temperature = row.get("temperature")
            cell = (
                str(row["task_id"]),
                str(row["model"]),
                None if temperature is None else float(temperature),
            )
            kept = _Row(text=str(row["text"]), tokens_max=row.get("max_tokens"))
            self._cells.setdefault(cell, []).append(kept)

    @property
    def label(self) -> str:
        """The first word of the fingerprint of its answers."""
        return "recorded"

    @property
    def models(self) -> frozenset[str]:
        """The models that were recorded."""
        return frozenset(model for _, model, _ in self._cells)

    def draw(self, asked: Asked, request: CompletionRequest, *, seed: int) -> list[Completion]:
        """Draw the answers to one request: see `Source`.

        Raises:
            ApiError: A 404 `unrecorded_cell`, or a 422 `cell_exhausted` that draws nothing.
        """
        cell = self._find(asked.problem.id, request)
        rows = self._cells[cell]
        if cell not in self._shuffled:
            random.Random(repr((seed, cell))).shuffle(rows)  # noqa: S311 - an order, not a secret
            self._shuffled.add(cell)
        first = self._drawn.get(cell, 0)
        draws = 1 if request.is_greedy else request.best_of
        if first + draws > len(rows):
            raise ApiError(
                422,
                f"{len(rows) - first} recorded completions are left of {len(rows)} for {cell}, "
                f"and {draws} were asked for.",
                code="cell_exhausted",
            )
        self._drawn[cell] = first + draws
        completions = [_cut(row, request) for row in rows[first : first + draws]]
        return completions * request.best_of if request.is_greedy else completions

    def _find(self, problem_id: str, request: CompletionRequest) -> _Cell:
        cell = (problem_id, request.model, request.temperature)
        if request.temperature is None and cell not in self._cells:
            cell = (problem_id, request.model, DEFAULT_TEMPERATURE)
        if cell not in self._cells:
            raise ApiError(
                404,
                f"No completion is recorded for {cell} (problem, model, temperature).",
                code="unrecorded_cell",
            )
        return cell


def _cut(row: _Row, request: CompletionRequest) -> Completion:
    allowed = request.tokens_max
    if allowed is None or row.tokens_max is None or allowed < row.tokens_max:
        return cut(row.text, stop=request.stop, tokens_max=allowed)
    # Recorded within the limit by its own tokenizer: whole, and never billed above the limit.
    whole = cut(row.text, stop=request.stop, tokens_max=None)
    return Completion(whole.text, whole.finish_reason, min(whole.tokens, allowed))

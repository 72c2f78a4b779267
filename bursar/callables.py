"""Callables as prompts: rendered here, for every example, into a column that the workers read.

A function can't travel to another machine; what it returns can. The study holds the template
`{"column": name}` in its place, and the config that comes back holds the function itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from study import templates
from study.errors import DataError
from study.templates import Rendered

COLUMN: Final = "_bursar_prompt_{}"
_PREFIX: Final = COLUMN.format("")

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """A user's prompts or messages, as a study can hold them.

    Args:
        given: as the user gave them, one by one; callables among them.
        templates: the same as a study holds them.
        field: the argument's name.
    """

    given: tuple[Any, ...]
    templates: tuple[Any, ...]
    field: str

    @classmethod
    def read(cls, given: Sequence[Any], *, field: str) -> "Prompts":
        """Give each prompt that calls something a column of its own."""
        held = [
            {"column": COLUMN.format(index)} if _calls(prompt) else prompt
            for index, prompt in enumerate(given)
        ]
        return cls(given=tuple(given), templates=tuple(held), field=field)

    def rows_with_columns(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """The rows, with what the callables return for them.

        Raises:
            DataError: a callable raises, or returns neither a text nor chat messages.
        """
        return [
            {
                **row,
                **{
                    template["column"]: self.rendered(index, row, example=f"row {number}")
                    for index, template in enumerate(self.templates)
                    if self.given[index] is not template
                },
            }
            for number, row in enumerate(rows)
        ]

    def rendered(self, index: int, row: Row, *, example: str) -> Rendered:
        """One prompt for one row.

        Args:
            index: which prompt.
            row: the example.
            example: what an error calls it.

        Raises:
            DataError: it can't be rendered.
        """
        prompt, field = self.given[index], f"{self.field}[{index}]"
        if not _calls(prompt):
            templates.check(prompt, row, field=field, example_id=example)
            return templates.render(prompt, row)
        try:
            found = prompt(row) if callable(prompt) else [_message(part, row) for part in prompt]
        except Exception as exc:
            raise DataError(
                field=field,
                value=prompt,
                problem=f"raised {type(exc).__name__}: {exc} for {example}",
                remedy="mend the function; it takes the example, a dict",
            ) from exc
        if not isinstance(found, str):
            templates.check_messages(found, field=f"{field} for {example}")
        return found


def without_columns(row: Row) -> dict[str, Any]:
    """A row as the user knows it."""
    return {name: value for name, value in row.items() if not name.startswith(_PREFIX)}


def _calls(prompt: Any) -> bool:
    if isinstance(prompt, list):
        return any(isinstance(part, Mapping) and callable(part.get("content")) for part in prompt)
    return callable(prompt)


def _message(part: Mapping[str, Any], row: Row) -> dict[str, Any]:
    content = part["content"]
    said = content(row) if callable(content) else templates.render(content, row)
    return {**part, "content": said}

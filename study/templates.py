"""Templates: how an example becomes a prompt. Separate, since both ends render the same way.

The mini-language is `str.format` limited to plain names: `{question}` is a column of the example,
`{{` and `}}` are braces. Attribute and index access, conversions and format specs are refused, so
that a template can't reach into objects.
"""

import string
from collections.abc import Mapping
from typing import Any, Final

from study.errors import DataError, SpecError

Message = dict[str, str]
Rendered = str | list[Message]
Template = str | list[Message] | dict[str, str]
"""Text, chat messages, or `{"column": name}`: the example holds what a user's callable returned."""

ROLES: Final = ("system", "developer", "user", "assistant")
PROMPT_BYTES_MAX: Final = 250_000
"""A prompt of so many bytes has no more tokens; past 272,000 tokens some models cost twice."""


def names(text: str, *, field: str) -> set[str]:
    """The columns that a text template reads.

    Raises:
        SpecError: if the text is not in the mini-language.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as exc:
        raise SpecError(
            field=field,
            value=text,
            problem=f"not a template ({exc})",
            remedy="write {{ for a brace",
        ) from exc
    found = set()
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            raise SpecError(
                field=field,
                value=text,
                problem=f"{{{name}{'!' + conversion if conversion else ''}"
                f"{':' + spec if spec else ''}}} is not a plain column name",
                remedy="use {column} only; write {{ and }} for braces that are part of the text",
            )
        found.add(name)
    return found


def check(template: Template, example: Mapping[str, Any], *, field: str, example_id: str) -> None:
    """Make sure that a template can be rendered for an example, before any call is paid for.

    Raises:
        SpecError: if the template is not in the mini-language.
        DataError: if the example lacks a column that the template reads, or it is null; if what a
            column holds is no prompt, or the prompt is too long for its price to be sure.
    """
    if isinstance(template, dict):
        column = example.get(template["column"])
        if not isinstance(column, str):
            check_messages(column, field=f"{field} (example {example_id})")
    for part in _texts(template):
        for name in sorted(names(part, field=field)):
            if example.get(name) is None:
                problem = "is null" if name in example else "has no such column"
                raise DataError(
                    field=field,
                    value=part,
                    problem=f"reads column {name!r}, but example {example_id} {problem}",
                    remedy="its columns are: " + ", ".join(sorted(example)),
                )
    size = sum(len(text.encode("utf-8", "replace")) for text in _texts(render(template, example)))
    if size > PROMPT_BYTES_MAX:
        raise DataError(
            field=field,
            value=example_id,
            problem=f"the prompt of this example has {size:,} bytes, above {PROMPT_BYTES_MAX:,}",
            remedy="shorten the example, or leave it out",
        )


def render(template: Template, example: Mapping[str, Any]) -> Rendered:
    """Make the prompt of an example: text, or chat messages."""
    if isinstance(template, str):
        return template.format_map(example)
    if isinstance(template, dict):
        rendered: Rendered = example[template["column"]]
        return rendered
    return [{**message, "content": message["content"].format_map(example)} for message in template]


def as_messages(rendered: Rendered) -> list[Message]:
    """What the chat API takes: a text becomes one user message."""
    return [{"role": "user", "content": rendered}] if isinstance(rendered, str) else rendered


def check_messages(messages: object, *, field: str) -> None:
    """Make sure that a value is a list of chat messages.

    Raises:
        SpecError: if it is not.
    """
    given = messages if isinstance(messages, list) else []
    ok = bool(given) and all(
        isinstance(message, dict)
        and message.get("role") in ROLES
        and all(isinstance(text, str) for text in message.values())
        and "content" in message
        for message in given
    )
    if not ok:
        raise SpecError(
            field=field,
            value=messages,
            problem="not a list of chat messages",
            remedy='write [{"role": "user", "content": "..."}]; roles: ' + ", ".join(ROLES),
        )


def _texts(template: Template) -> list[str]:
    if isinstance(template, str):
        return [template]
    if isinstance(template, dict):
        return []
    return [message["content"] for message in template]

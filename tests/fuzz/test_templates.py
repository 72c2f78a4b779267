"""Templates and rows of every kind: what passes the checks can be rendered and sent."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from study import templates, worst_case
from study.errors import DataError, SpecError

from .odd import ATOMS, TEXTS, VALUES

PIECES = st.sampled_from(["{", "}", "{{", "}}", "{x}", "{y}", "{x.y}", "{x[0]}", "{x!r}", "{x:>9}", "{}",
                          "{0}", "{ x }", "{x", "é", "\ud800", "\x00", *TEXTS[:8]])  # fmt: skip
TEXT = st.lists(PIECES, max_size=6).map("".join)
MESSAGE = st.dictionaries(
    st.sampled_from(["role", "content", "name", ""]),
    TEXT | st.sampled_from([*templates.ROLES, "tool"]) | ATOMS,
    max_size=3,
)
ROWS = st.dictionaries(st.sampled_from(["x", "y", " x ", "column"]), VALUES, max_size=3)


@given(TEXT | st.lists(MESSAGE, max_size=3) | st.just({"column": "x"}), ROWS)
def test_what_passes_can_be_sent(template: Any, row: dict[str, Any]) -> None:
    try:
        if isinstance(template, list):
            templates.check_messages(template, field="f")
        templates.check(template, row, field="f", example_id="tune-0")
    except (SpecError, DataError):
        return
    rendered = templates.render(template, row)
    messages = templates.as_messages(rendered)
    assert all(isinstance(message["content"], str) for message in messages)
    sent = json.dumps(messages)
    usage = worst_case.usage(rendered, model="m", params={"max_tokens": 5}, n=1)
    assert usage.prompt_tokens * 6 >= len(sent) / 2

"""Templates: plain names only, checked against every example before a call is paid for."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study import templates
from study.errors import DataError, SpecError

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{q}?"}]


def test_a_text_is_filled_with_the_examples_columns() -> None:
    assert templates.render("Q: {q} {{q}}", {"q": "1 + 1"}) == "Q: 1 + 1 {q}"


def test_every_message_is_filled_and_keeps_its_other_fields() -> None:
    named = [*MESSAGES, {"role": "user", "content": "{q}", "name": "me"}]
    assert templates.render(named, {"q": "Why"}) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
        {"role": "user", "content": "Why", "name": "me"},
    ]


def test_a_column_holds_what_a_users_callable_returned() -> None:
    assert templates.render({"column": "made"}, {"made": MESSAGES}) == MESSAGES


def test_a_text_becomes_one_user_message() -> None:
    assert templates.as_messages("hi") == [{"role": "user", "content": "hi"}]
    assert templates.as_messages(MESSAGES) == MESSAGES


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.text(), min_size=1))
def test_what_a_column_holds_is_never_read_as_a_template(row: dict[str, str]) -> None:
    """Braces in the data stay braces: nothing in an example can reach into objects."""
    template = "|".join(f"{{{name}}}" for name in row)
    assert templates.render(template, row) == "|".join(row.values())


@pytest.mark.parametrize(
    "text",
    ["{q.__class__}", "{q[0]}", "{}", "{0}", "{q!r}", "{q:>10}", "{q:{w}}", "{q", "}", "{a b}"],
)
def test_a_template_cannot_reach_into_objects(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        templates.names(text, field="space.prompt[0]")
    assert caught.value.field == "space.prompt[0]"
    assert "{" in caught.value.remedy


def test_the_names_of_a_template_are_the_columns_it_reads() -> None:
    assert templates.names("{a} {b} {{c}} {a}", field="f") == {"a", "b"}


def check(template: Any, row: dict[str, Any]) -> None:
    templates.check(template, row, field="space.prompt[0]", example_id="tune-3")


def test_an_example_with_all_columns_passes() -> None:
    check("{q} {n}", {"q": "a", "n": 0, "other": None})
    check(MESSAGES, {"q": ""})
    check({"column": "made"}, {"made": "text"})
    check({"column": "made"}, {"made": MESSAGES})


def test_a_missing_column_is_told_with_the_columns_that_there_are() -> None:
    with pytest.raises(DataError) as caught:
        check("{question}", {"q": "a", "answer": "b"})
    assert str(caught.value) == (
        "space.prompt[0] = '{question}': reads column 'question', but example tune-3 has no such "
        "column. Its columns are: answer, q."
    )


def test_a_null_is_not_rendered_as_none() -> None:
    with pytest.raises(DataError, match="tune-3 is null"):
        check("{q}", {"q": None})


@pytest.mark.parametrize("made", [None, 3, [], [{"role": "user", "content": [{"type": "image"}]}]])
def test_a_callable_must_have_made_a_prompt(made: object) -> None:
    with pytest.raises(SpecError, match=r"example tune-3.*roles: "):
        check({"column": "made"}, {"made": made})


def test_a_prompt_too_long_for_its_price_to_be_sure_is_refused() -> None:
    templates_of_half = ["{q}", [{"role": "user", "content": "{q}"}], {"column": "q"}]
    for template in templates_of_half:
        check(template, {"q": "x" * templates.PROMPT_BYTES_MAX})
        with pytest.raises(DataError, match="tune-3"):
            check(template, {"q": "\u00e4" * (templates.PROMPT_BYTES_MAX // 2 + 1)})


def test_only_what_is_a_mapping_of_texts_is_a_message() -> None:
    with pytest.raises(SpecError):
        templates.check_messages([SimpleNamespace(role="user", content="x")], field="f")
    templates.check_messages(MESSAGES, field="f")

"""The stand-in's tokenizer: never above the bytes, and cutting and counting agree."""

from hypothesis import given
from hypothesis import strategies as st

from rehearsal.tokens import count_chat_tokens, count_tokens, cut_to_tokens


@given(st.text())
def test_a_text_never_has_more_tokens_than_utf8_bytes(text: str) -> None:
    assert count_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))


@given(st.text(alphabet="ab1 \n\t`._é日", max_size=60), st.integers(0, 20))
def test_what_is_cut_has_as_many_tokens_as_it_was_cut_to(text: str, tokens_max: int) -> None:
    kept = cut_to_tokens(text, tokens_max)
    assert text.startswith(kept)
    assert count_tokens(kept) == min(tokens_max, count_tokens(text))


def test_code_has_three_to_four_characters_a_token() -> None:
    code = "    for index, value in enumerate(values):\n        if value > 0:\n            return index\n"
    assert 3 <= len(code) / count_tokens(code) <= 5


def test_a_chat_request_costs_seven_tokens_more_and_three_for_each_further_message() -> None:
    assert count_chat_tokens(["hello world"]) == count_tokens("hello world") + 7
    assert count_chat_tokens(["hello", "world"]) == 2 + 7 + 3


def test_a_code_fence_is_cut_whole_or_not_at_all() -> None:
    text = "return x\n```"
    assert cut_to_tokens(text, count_tokens(text) - 1) == "return x"

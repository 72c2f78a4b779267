"""The stand-in's own tokenizer, apart because usage, cutting and billing must all count alike.

A token is a run that a byte-pair encoding would plausibly merge: a word piece with the space before
it, a short number, a run of one punctuation mark, a run of whitespace. Every token is at least one
character and so at least one byte: a text never has more tokens than UTF-8 bytes.
"""

from __future__ import annotations

import re
from itertools import islice

CHAT_OVERHEAD_TOKENS = 7
"""What a chat request with one message costs on top of its text (as measured on OpenAI's)."""

CHAT_TOKENS_PER_FURTHER_MESSAGE = 3

_TOKEN = re.compile(
    r"""
      [ _.]?[A-Za-z]{1,8}           # a word, with the space, underscore or dot before it
    | [ ]?[0-9]{1,3}
    | \n?`{3}                       # a code fence goes whole or not at all
    | [ ]?([^A-Za-z0-9\s])\1{0,3}   # a punctuation mark, a letter of another script; repeated
    | \n+[^\S\n]*                  # line ends with the indent that follows
    | \s+
    """,
    re.VERBOSE,
)


def count_tokens(text: str) -> int:
    """Count the tokens of a text.

    Args:
        text: Any text.

    Returns:
        The number of tokens, never more than the text's UTF-8 bytes.
    """
    return sum(1 for _ in _TOKEN.finditer(text))


def cut_to_tokens(text: str, tokens_max: int) -> str:
    """Keep the first tokens of a text.

    Args:
        text: Any text.
        tokens_max: How many tokens to keep, at least 0.

    Returns:
        The text itself where it is short enough, else its beginning.
    """
    first_left_out = next(islice(_TOKEN.finditer(text), tokens_max, None), None)
    return text if first_left_out is None else text[: first_left_out.start()]


def count_chat_tokens(contents: list[str]) -> int:
    """Count the prompt tokens of a chat request.

    Args:
        contents: The text of each message.

    Returns:
        The tokens of all messages and what the chat format adds to them.
    """
    further = max(0, len(contents) - 1)
    text_tokens = sum(count_tokens(content) for content in contents)
    return text_tokens + CHAT_OVERHEAD_TOKENS + CHAT_TOKENS_PER_FURTHER_MESSAGE * further

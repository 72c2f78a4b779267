"""The worst case: a true upper bound of what a call can be billed, known before it is made.

A byte-level BPE never makes more tokens than UTF-8 bytes, so bytes bound the prompt where no
tokenizer is at hand; where tiktoken has the model's ranks on disk, its count is exact but for the
chat format's overhead (3 tokens a message and 3 to open the answer; 7 seen for one user message).
"""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import tiktoken

from study.prices import Price, Usage
from study.templates import Rendered

CHAT_OVERHEAD_TOKENS: Final = 16
"""For the whole conversation; 7 were seen for one message, and templates differ between servers."""
MESSAGE_OVERHEAD_TOKENS: Final = 16
"""For each message: its role, its separators."""
RANKS_URL: Final = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
"""Never opened: tiktoken names a file in its cache by the SHA-1 of where it came from."""


def prompt_tokens(rendered: Rendered, *, model: str) -> int:
    """The most tokens that a rendered prompt can have."""
    if isinstance(rendered, str):
        return _tokens(rendered, model) + CHAT_OVERHEAD_TOKENS + MESSAGE_OVERHEAD_TOKENS
    texts = sum(_tokens(text, model) for message in rendered for text in message.values())
    return texts + CHAT_OVERHEAD_TOKENS + MESSAGE_OVERHEAD_TOKENS * len(rendered)


def usage(rendered: Rendered, *, model: str, params: Mapping[str, Any], n: int) -> Usage:
    """The most tokens that a call can be billed for.

    Args:
        rendered: the prompt.
        model: decides the tokenizer.
        params: the arm's parameters; `max_tokens` and `best_of` are read, and anything sent along
            that may be billed as input (tools, response_format, ...) is counted by its bytes.
        n: the answers asked for.
    """
    sent_along = {k: v for k, v in params.items() if isinstance(v, dict | list) and k != "stop"}
    extra = len(json.dumps(sent_along).encode()) if sent_along else 0
    answers = max(n, int(params.get("best_of") or 0))
    return Usage(
        prompt_tokens=prompt_tokens(rendered, model=model) + extra,
        completion_tokens=answers * int(params["max_tokens"]),
    )


def cost(rendered: Rendered, *, model: str, params: Mapping[str, Any], n: int, price: Price) -> int:
    """The most that a call can be billed, in nanodollars."""
    return price.cost(usage(rendered, model=model, params=params, n=n))


def _tokens(text: str, model: str) -> int:
    found = encoding(model)
    if found is None:
        return len(text.encode("utf-8", "surrogatepass"))
    return len(found.encode(text, disallowed_special=()))


@lru_cache(maxsize=64)
def encoding(model: str) -> "tiktoken.Encoding | None":
    """The model's tokenizer, where its ranks lie on this disk; they are not fetched."""
    try:
        name = tiktoken.encoding_name_for_model(model)
        file = ranks_file(name)
        return tiktoken.get_encoding(name) if file and file.is_file() else None
    except (KeyError, OSError, ValueError):  # unknown model, spoilt ranks: bytes bound it
        return None


def ranks_file(encoding: str) -> Path | None:
    """Where tiktoken keeps an encoding's ranks, or would; None where it has no place of its own."""
    cache = os.environ.get("TIKTOKEN_CACHE_DIR")
    name = hashlib.sha1(RANKS_URL.format(encoding).encode(), usedforsecurity=False).hexdigest()
    return Path(cache, name) if cache else None

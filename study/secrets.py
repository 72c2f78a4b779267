"""Secrets: those of this process's environment, hidden in whatever is kept, sent or shown."""

import os
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

VARIABLES: Final = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "BURSAR_SEAL_KEY",
)
URL_VARIABLES: Final = ("BURSAR_REDIS_URL", "BURSAR_BROKER_URL")
"""Of these the password only."""
CHARACTERS_MIN: Final = 8
"""A shorter word is no key, and hiding it would hide other words' parts."""
HIDDEN: Final = "[key]"


def hidden(text: str, *, others: tuple[str, ...] = ()) -> str:
    """A text without the environment's secrets, and without some others."""
    for secret in (*others, *_of_the_environment()):
        if len(secret) >= CHARACTERS_MIN:
            text = text.replace(secret, HIDDEN)
    return text


def _of_the_environment() -> Iterator[str]:
    for name in VARIABLES:
        yield os.environ.get(name, "").strip()
    for name in URL_VARIABLES:
        try:
            password = urlsplit(os.environ.get(name, "")).password or ""
        except ValueError:  # no URL
            continue
        yield password
        yield unquote(password)

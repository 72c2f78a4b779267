"""One answer as the client gets it, cut as the API cuts; apart because truth and server must cut alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from rehearsal.problems import Asked
from rehearsal.request import CompletionRequest
from rehearsal.tokens import count_tokens, cut_to_tokens

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Completion:
    """One answer: its text, why it ends, and the tokens that are billed for it."""

    text: str
    finish_reason: FinishReason
    tokens: int


class Source(Protocol):
    """Where answers come from. A source counts its draws: every server needs one of its own."""

    @property
    def label(self) -> str:
        """The first word of the fingerprint of its answers."""

    def draw(self, asked: Asked, request: CompletionRequest, *, seed: int) -> list[Completion]:
        """Draw the answers to one request.

        Args:
            asked: The problem that the request asks.
            request: The request.
            seed: The seed of the server's chance.

        Returns:
            As many answers as the request's `best_of`, cut; equal ones where it is greedy.

        Raises:
            ApiError: There is no answer to give.
        """


@lru_cache(maxsize=20_000)
def cut(text: str, *, stop: tuple[str, ...], tokens_max: int | None) -> Completion:
    """Cut a text before the first stop string, then to a number of tokens.

    Args:
        text: What the model would have said.
        stop: The strings before which it is cut.
        tokens_max: The tokens after which it is cut; None is no limit.

    Returns:
        The answer; "length" says that the tokens cut it.
    """
    ends = [end for end in (text.find(string) for string in stop) if end >= 0]
    stopped = text[: min(ends)] if ends else text
    if tokens_max is None or len(stopped) <= tokens_max:  # no token is less than a character
        return Completion(stopped, "stop", count_tokens(stopped))
    kept = cut_to_tokens(stopped, tokens_max)
    if len(kept) < len(stopped):
        return Completion(kept, "length", tokens_max)
    return Completion(stopped, "stop", count_tokens(stopped))

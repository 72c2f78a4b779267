"""PromptTokens: what the provider counted for prompts that were billed: it bounds their next bill.

A prompt's tokens do not change from call to call: once billed, they are known, and bytes need not
bound them. What else is sent along (tools, a format, an effort) is part of the prompt here; only what
steers the drawing of answers is not.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from study import keys, scripts
from study.config import Arm
from study.connection import Client
from study.prices import Usage

SAMPLING: Final = frozenset(
    {"temperature", "top_p", "max_tokens", "stop", "n", "best_of", "seed"}
    | {"presence_penalty", "frequency_penalty"}
)
"""Parameters that add nothing to a prompt."""
SLACK_TOKENS: Final = 16
"""Above the count: a newer snapshot behind the same name may wrap a chat otherwise."""


def bounded(usage: Usage, known: int | None) -> Usage:
    """A worst case whose prompt is bounded by what the same prompt was billed for, where that is less.

    Args:
        usage: the worst case.
        known: the prompt's tokens as billed; None where it was not yet.
    """
    if known is None:
        return usage
    return Usage(
        prompt_tokens=min(usage.prompt_tokens, known + SLACK_TOKENS),
        completion_tokens=usage.completion_tokens,
    )


def sent_along(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that may be part of the prompt."""
    return {name: value for name, value in params.items() if name not in SAMPLING}


def name_of(arm: Arm, example: str) -> str:
    """The name under which a prompt's tokens are kept: arms with the same prompt share it.

    Args:
        arm: says all of the prompt but the row.
        example: the row's id.
    """
    whole = [arm.model, arm.template, sent_along(arm.params)]
    text = json.dumps(whole, sort_keys=True, default=str)
    return f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}/{example}"


class PromptTokens:
    """The prompts of one study that were billed.

    Args:
        redis: a client with `decode_responses=True`.
        study: the study's id.
    """

    def __init__(self, redis: Client, study: str) -> None:
        self._redis, self._key = redis, keys.prompt_tokens(study)

    def known(self, name: str) -> int | None:
        """What a prompt was billed for; None where it was not yet."""
        found = self._redis.hget(self._key, name)
        return None if found is None else int(found)

    def learn(self, name: str, tokens: int, *, pipe: Client | None = None) -> None:
        """Keep what a prompt was billed for; twice is the same as once, and a lower count changes nothing.

        Args:
            name: the prompt's.
            tokens: as billed.
            pipe: where the command waits for others, if not alone.
        """
        scripts.queue(pipe or self._redis, "learn_prompt", [self._key], [name, tokens])

"""Arm and Config: what is tried. An arm fixes the distribution of answers; a config adds n."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

SAME_ANSWER_TEMPERATURE = 0.01
"""At or below it the n answers of one call are one text: a second draw says nothing."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A configuration without its n.

    Args:
        model: the provider's name of the model.
        template: index of the prompt among the study's templates.
        params: the API parameters that shape an answer (temperature or top_p, max_tokens, stop,
            ...), never model, prompt or n; JSON values.
    """

    model: str
    template: int
    params: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """A short name for the arm: equal arms have equal keys, on every machine."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def max_tokens(self) -> int:
        """The most output tokens of one answer."""
        return int(self.params["max_tokens"])

    @property
    def repeats_itself(self) -> bool:
        """Whether the n answers of one call are one text (temperature or top_p of zero)."""
        temperature = float(self.params.get("temperature", 1.0))
        top_p = float(self.params.get("top_p", 1.0))
        return min(temperature, top_p) <= SAME_ANSWER_TEMPERATURE

    def to_dict(self) -> dict[str, Any]:
        """The arm as JSON values."""
        return {"model": self.model, "template": self.template, "params": dict(self.params)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Arm":
        """Read what `to_dict` wrote."""
        return cls(model=data["model"], template=data["template"], params=data["params"])

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, kw_only=True)
class Config:
    """An arm and how many answers to ask for at each request."""

    arm: Arm
    n: int

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON values."""
        return {"arm": self.arm.to_dict(), "n": self.n}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Config":
        """Read what `to_dict` wrote."""
        return cls(arm=Arm.from_dict(data["arm"]), n=data["n"])

    def as_parameters(self, templates: "list[Any]") -> dict[str, Any]:
        """The config in the API's words, as a user would pass it to `create`.

        Args:
            templates: the study's templates in their public form (text, messages, or a name).

        Returns:
            `model`, `prompt` or `messages`, the parameters, and `n`.
        """
        template = templates[self.arm.template]
        name = "messages" if isinstance(template, list) else "prompt"
        return {"model": self.arm.model, name: template, **self.arm.params, "n": self.n}

"""Figures: how money, scores, durations and configurations read to people."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from study import money

TEXT_CHARACTERS_MAX: Final = 60
"""Of a prompt or a stop list in a table: enough to tell which one it is."""


def usd(dollars: float | None) -> str:
    """An amount of dollars; no limit where there is none."""
    return "no limit" if dollars is None else money.show(round(dollars * 1e9))


def score(best: Mapping[str, Any]) -> str:
    """A value with its standard error."""
    return f"{best['value']:.3f} ± {best['std_error']:.3f}"


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """A duration, as one says it."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock(seconds: float) -> str:
    """A duration as a clock shows it."""
    whole = int(seconds)
    hours = f"{whole // 3600}:" if whole >= 3600 else ""
    return f"{hours}{whole % 3600 // 60:02d}:{whole % 60:02d}"


def value(found: Any) -> str:
    """One parameter's value."""
    if isinstance(found, float):
        return f"{found:.4g}"
    text = json.dumps(found, ensure_ascii=False)
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def config(parameters: Mapping[str, Any], *, prompts: Sequence[Any]) -> str:
    """A config in one line: its model, then what sets it apart.

    Args:
        parameters: in the API's words.
        prompts: those of the study; the line says which of them, where there are several.
    """
    shown = dict(parameters)
    prompt = shown.pop("messages" if "messages" in shown else "prompt", None)
    words = [str(shown.pop("model", ""))]
    if len(prompts) > 1 and prompt in prompts:
        words.append(f"prompt {prompts.index(prompt) + 1}")
    stop = shown.pop("stop", None)
    n = shown.pop("n", None)
    words += [f"{name} {value(found)}" for name, found in shown.items()]
    words += [f"stop {value(stop)}"] if stop else []
    words += [f"n {n}"] if n is not None else []
    return ", ".join(words)

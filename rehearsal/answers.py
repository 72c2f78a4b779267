"""The finite menu of answers to a problem: programs in the forms that models give them.

Apart from the chances (surface) because a finite menu is what makes the truth exact: whether an
answer passes after a stop string or max_tokens cut it is looked up, not estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rehearsal.completion import cut
from rehearsal.problems import Problem
from rehearsal.programs import Program, right_programs, wrong_programs
from rehearsal.request import Api

UNRECORDED_ANSWER = "(rehearsal) no recorded answer"
"""What a problem without a canonical solution is answered with."""

_COMMONNESS = 0.7
"""How much rarer each wrong program is than the one before it."""

_CODE, _WHOLE = "{continuation}", "{whole}"
# The forms of a code answer and how often each is chosen. What stands behind the code can be cut
# anywhere without harm to it.
_CHAT_FORMS: Mapping[str, float] = {
    "```python\n{whole}```": 0.30,
    "Here is the completed function:\n\n```python\n{whole}```\n\n"
    "It follows the description step by step.": 0.20,
    "```python\n{continuation}```": 0.15,
    "{continuation}": 0.25,
    "{whole}": 0.10,
}
_COMPLETIONS_FORMS: Mapping[str, float] = {
    "{continuation}": 0.6,
    "{continuation}\n\n# The function above is complete.\n# Further examples follow below.\n": 0.4,
}
_PLAIN_FORMS: Mapping[str, float] = {
    "{whole}": 0.6,
    "Let us work through it step by step.\n\n{whole}": 0.4,
}
_OFF_FORMAT: Mapping[str, float] = {
    "To solve this, first look at what is given, then go through it in order and keep what the "
    "description asks for. The edge cases deserve attention. Shall I write it out?": 0.6,
    '    """Does what the description above asks for."""\n': 0.4,
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One possible answer.

    Attributes:
        text: What is said.
        code_end: The length of the text up to which it must be kept to be of use.
        weight: How often it is chosen among its kind; the weights of a kind sum to 1.
    """

    text: str
    code_end: int
    weight: float

    def survives(self, *, stop: tuple[str, ...], tokens_max: int | None) -> bool:
        """Tell whether what matters in the answer is there after the cuts."""
        return len(cut(self.text, stop=stop, tokens_max=tokens_max).text) >= self.code_end


@dataclass(frozen=True, kw_only=True)
class Menu:
    """All answers to a problem, by kind."""

    right: tuple[Answer, ...]
    wrong: tuple[Answer, ...]
    off_format: tuple[Answer, ...]


@lru_cache(maxsize=20_000)
def menu(problem: Problem, api: Api) -> Menu:
    """Return the answers that a problem can get through an API."""
    off_format = tuple(
        Answer(text=text, code_end=len(text), weight=weight) for text, weight in _OFF_FORMAT.items()
    )
    if problem.solution is None:
        filler = Answer(text=UNRECORDED_ANSWER, code_end=len(UNRECORDED_ANSWER), weight=1.0)
        return Menu(right=(), wrong=(filler,), off_format=(filler,))
    right, wrong = right_programs(problem), wrong_programs(problem)
    return Menu(
        right=_answers(right, [1.0] * len(right), api),
        wrong=_answers(wrong, [_COMMONNESS**rank for rank in range(len(wrong))], api),
        off_format=off_format,
    )


def choose(answers: Sequence[Answer], chance: float) -> Answer:
    """Choose one answer by its weight.

    Args:
        answers: The answers of one kind.
        chance: A number in (0, 1).

    Returns:
        The answer on which the chance falls.
    """
    for answer in answers:
        chance -= answer.weight
        if chance < 0:
            return answer
    return answers[-1]


def _answers(programs: Sequence[Program], weights: Sequence[float], api: Api) -> tuple[Answer, ...]:
    weighed: dict[tuple[str, int], float] = {}
    for program, weight in zip(programs, weights, strict=True):
        for text, code_end, share in _forms(program, api):
            weighed[text, code_end] = weighed.get((text, code_end), 0.0) + weight * share
    total = sum(weighed.values())
    return tuple(
        Answer(text=text, code_end=code_end, weight=weight / total)
        for (text, code_end), weight in weighed.items()
    )


def _forms(program: Program, api: Api) -> Iterator[tuple[str, int, float]]:
    """Give a program in every form; yields the text, where its code ends, and the form's share."""
    code_forms = _CHAT_FORMS if api == "chat" else _COMPLETIONS_FORMS
    forms = code_forms if program.is_code else _PLAIN_FORMS
    for form, share in forms.items():
        if program.continuation is not None:
            slot, code = (_CODE, program.continuation) if _CODE in form else (_WHOLE, program.whole)
        else:
            slot, code = (_CODE if _CODE in form else _WHOLE), program.whole
        before, behind = form.split(slot)
        if "```" in behind and not code.endswith("\n"):
            code += "\n"
        yield before + code + behind, len(before) + len(code.rstrip()), share

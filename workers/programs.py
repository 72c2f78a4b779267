"""From an answer to a program: the forms that models give code in, each made into something to run.

Nothing here runs anything. A few readings of the answer are tried in a fixed order, and the first that
is Python and gives the function a body is taken; where none is, the plainest stands, and the sandbox
says what is wrong with it.
"""

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, Final, Literal

from sandbox import Exchange, Program
from study.evaluators import is_of_scripts

Api = Literal["chat", "completions"]

PARSED_CHARACTERS_MAX: Final = 100_000
"""A longer text is taken as it stands: the parser's memory and stack are the worker's."""
NESTING_MAX: Final = 100
"""Brackets deeper than this aren't parsed here, for the same reason."""
STARTS_MAX: Final = 8
"""Lines at which code may begin, in a text without fences."""
INDENT: Final = "    "

_THOUGHT: Final = re.compile(r"\A.*</(think|thinking|reasoning)>", re.DOTALL)
_UNENDED_THOUGHT: Final = re.compile(r"\A\s*<(think|thinking|reasoning)>")
_FENCE: Final = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^`\n]*)$")
_FUTURE: Final = re.compile(r"^from __future__ import .*$", re.MULTILINE)
_CODE_START: Final = re.compile(r"(?:async\s+def|def|class|import|from)\s+\w|@\w")
_CODE_GOES_ON: Final = re.compile(
    r"\s|#|[\])}]|@\w|\w+\s*[:=]|(?:async\s+def|def|class|import|from)\s+\w"
)
_STOP: Final = re.compile(r"\n(?:assert|class|def|if|print|@|\"\"\"|''')")
"""Where the usual stop strings would have cut, had the request had them."""
_DEFINITION: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign)
_DEMONSTRATION: Final = (ast.Assert, ast.Expr, ast.For, ast.If, ast.Try, ast.While, ast.With)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a program is asked to define, and the code that judges it.

    Args:
        prompt: the program's beginning; empty where the prompt is prose.
        entry_point: the function's name; empty where nothing names it.
        check: trusted code that judges the program; empty where exchanges do.
        exchanges: what a script is given to read, and what it must then print.
    """

    prompt: str
    entry_point: str
    check: str
    exchanges: tuple[Exchange, ...] = ()

    def program(self, source: str, *, trusted: bool = False) -> Program:
        """A source, with what judges it."""
        return Program(source=source, check=self.check, trusted=trusted, exchanges=self.exchanges)


def task_of(example: Mapping[str, Any]) -> Task:
    """Read an example in HumanEval's or MBPP's form, or of a script (see `study.evaluators`)."""
    if "test" in example:
        name = example["entry_point"]
        own = _helpers(example["prompt"], name, example["test"])
        check = f"{own}{example['test']}\n\ncheck({name})\n"
        return Task(prompt=_beginning(example["prompt"], name), entry_point=name, check=check)
    if is_of_scripts(example):
        pairs = zip(example["inputs"], example["outputs"], strict=True)
        exchanges = tuple(Exchange(stdin=given, stdout=expected) for given, expected in pairs)
        return Task(prompt="", entry_point="", check="", exchanges=exchanges)
    asserts = "\n".join(example["test_list"])
    before = [*(example.get("test_imports") or []), example.get("test_setup_code") or ""]
    check = "\n".join([*before, asserts, ""])
    return Task(prompt="", entry_point=_tested_name(asserts), check=check)


def assemble(prompt: str, answer: str, entry_point: str, api: Api) -> str:
    """Make the program that an answer means.

    Args:
        prompt: the program's beginning (imports, helpers, signature, docstring); may be empty.
        answer: the model's text.
        entry_point: the function that the program must define; may be empty.
        api: "completions" continues the prompt, "chat" speaks about it.

    Returns:
        A program's source: not necessarily a right one, nor even Python.
    """
    letter = prompt + answer
    if api == "completions" and _is_program(letter, entry_point):
        return (
            letter  # with all that the model runs behind it: it is the user's program, as it stands
        )
    text = _without_thought(answer.replace("\r\n", "\n").replace("\r", "\n"))
    blocks = _fenced(text)
    for source in dict.fromkeys(_readings(prompt, text, blocks, entry_point, api)):
        if _is_program(source, entry_point):
            return _future_first(_without_demonstration(source, entry_point))
    return _after(prompt, "\n".join(blocks)) if blocks else prompt + text


def is_python(source: str) -> bool:
    """Whether a source can be parsed here at all."""
    return _parsed(source) is not None


def _readings(prompt: str, text: str, blocks: Sequence[str], name: str, api: Api) -> Iterator[str]:
    """The programs that a text may mean, the likeliest first."""
    if blocks:
        for block in blocks:
            if _defines(block, name):
                yield _after(prompt, block)
        for block in [*blocks, "\n".join(blocks)]:
            yield from _continuations(prompt, block)
        yield _after(prompt, "\n".join(blocks))
        if not name:  # a script, beside which the others show what it reads and prints
            yield from sorted(blocks, key=len, reverse=True)
    # A continuation is the model's own text, to the space: mended, it would be somebody else's.
    bodies = _continuations(prompt, text) if api == "chat" else ()
    yield from bodies
    yield _after(prompt, text)
    for code in _unfenced(text):
        yield _after(prompt, code)
    yield prompt + _until_stop(text)


def _continuations(prompt: str, text: str) -> Iterator[str]:
    """The body of the prompt's function: as it stands, and indented anew."""
    if not prompt:
        return
    begun = prompt if prompt.endswith("\n") or text.startswith("\n") else prompt + "\n"
    indent = _indent_of(prompt)
    yield begun + text
    # Only the first line lost its indentation, or all of them have another one, or they have tabs.
    yield begun + indent + text.lstrip()
    spaced = text.expandtabs(len(INDENT))
    yield begun + textwrap.indent(textwrap.dedent(spaced), indent)


def _after(prompt: str, code: str) -> str:
    """A whole program; the prompt before it keeps its imports and helpers at hand."""
    return f"{_closed(prompt)}\n\n\n{code}" if prompt else code


def _closed(prompt: str) -> str:
    """The prompt as a program of its own: a signature without docstring gets a body."""
    if _parsed(prompt) is not None:
        return prompt
    return f"{prompt.rstrip()}\n{_indent_of(prompt)}pass\n"


def _beginning(prompt: str, name: str) -> str:
    """The prompt, if it begins the program; nothing, if it is prose."""
    return prompt if _defines(_closed(prompt), name) else ""


def _helpers(prompt: str, name: str, test: str) -> str:
    """What the prompt defines beside the function asked for, where the test uses that itself.

    It is put before the test: in HumanEval/32 the test tries the answer with the prompt's `poly`, and an
    answer that defines that anew (`def poly(xs, x): return 0`) would be judged by its own measure.
    """
    nodes = [node for node in _parsed_body(_closed(prompt)) if name not in _names(node)]
    tree = _parsed(test)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} if tree else set()
    defined = {each for node in nodes if isinstance(node, _DEFINITION) for each in _names(node)}
    return "\n\n".join([*map(ast.unparse, nodes), ""]) + "\n" if used & defined else ""


def _fenced(text: str) -> list[str]:
    """The fenced blocks of a text, in order; a last one that was not closed counts."""
    blocks: list[list[str]] = []
    opened: tuple[str, str] | None = None
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened = (fence[1], fence[2])
            blocks.append([])
        elif opened is not None and fence and _closes(opened, fence):
            opened = None
        elif opened is not None:
            indent = opened[0]
            blocks[-1].append(line.removeprefix(indent))
    return ["\n".join([*block, ""]) for block in blocks if any(line.strip() for line in block)]


def _closes(opened: tuple[str, str], fence: re.Match[str]) -> bool:
    indent, marks = opened
    return not fence[3].strip() and fence[2].startswith(marks) and len(fence[1]) <= len(indent)


def _unfenced(text: str) -> Iterator[str]:
    """Code with prose around it: from a line that begins code, for as long as code goes on."""
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if _CODE_START.match(line)]
    for start in starts[:STARTS_MAX]:  # the first may be prose: "from this it follows ..."
        code = takewhile(lambda line: not line or _CODE_GOES_ON.match(line), lines[start:])
        yield "\n".join([*code, ""])


def _until_stop(text: str) -> str:
    """A body without what follows it at the left margin, such as a main program cut in half."""
    stop = _STOP.search(text)
    return text[: stop.start() + 1] if stop else text


def _indent_of(prompt: str) -> str:
    last = prompt.rstrip().rpartition("\n")[2]
    indent = last[: len(last) - len(last.lstrip())]
    return indent or INDENT


def _without_thought(text: str) -> str:
    """What follows a reasoning model's thoughts; nothing, where they didn't end."""
    if _UNENDED_THOUGHT.match(text) and not _THOUGHT.match(text):
        return ""
    return _THOUGHT.sub("", text)


def _future_first(source: str) -> str:
    """Imports from __future__ are allowed at the top only."""
    found = _FUTURE.findall(source)
    return "\n".join([*dict.fromkeys(found), _FUTURE.sub("", source)]) if found else source


def _without_demonstration(source: str, name: str) -> str:
    """Leave out what is run, not defined, after the function, and all that follows it.

    Tests and examples of the model's own are not what was asked for, and may be wrong where the
    function is right; behind them a model that didn't know when to stop goes on with other files.
    """
    nodes = _parsed_body(source)
    defined = [i for i, node in enumerate(nodes) if name in _names(node)]
    if not defined:
        return source
    for before, node in pairwise(nodes[defined[-1] :]):
        if isinstance(node, _DEMONSTRATION) and node.lineno > (before.end_lineno or 0):
            return "\n".join([*source.split("\n")[: node.lineno - 1], ""])
    return source


def _is_program(source: str, name: str) -> bool:
    """Whether a text is Python, and gives the function a body that is more than a docstring."""
    nodes = _parsed_body(source)
    if not name:
        return bool(nodes)
    last = [node for node in nodes if name in _names(node)][-1:]
    return bool(last) and not _is_stub(last[0])


def _defines(source: str, name: str) -> bool:
    return bool(name) and any(name in _names(node) for node in _parsed_body(source))


def _names(node: ast.stmt) -> set[str]:
    """The names that a statement at the top binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return set()


def _is_stub(node: ast.stmt) -> bool:
    """Whether it is a function with nothing but a docstring."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return len(node.body) == 1 and ast.get_docstring(node, clean=False) is not None


def _tested_name(asserts: str) -> str:
    """The function that asserts call: the first called name that is not Python's own."""
    tree = _parsed(asserts)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []
    own = vars(builtins)
    names = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
    return next((name for name in names if name not in own), "")


def _parsed_body(source: str) -> list[ast.stmt]:
    tree = _parsed(source)
    return tree.body if tree else []


def _parsed(source: str) -> ast.Module | None:
    """The text as Python, if it is, and is harmless to parse."""
    if len(source) > PARSED_CHARACTERS_MAX or _nesting(source) > NESTING_MAX:
        return None
    try:
        return ast.parse(source, filename="<answer>")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _nesting(source: str) -> int:
    """The most brackets open at once, at a glance: those in strings count."""
    deepest = depth = 0
    for mark in re.findall(r"[\[({\])}]", source):
        depth = depth + 1 if mark in "[({" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest

"""Sameness: which programs differ only in comments and formatting, so that one run speaks for all."""

import ast
import re
from dataclasses import replace
from typing import Final

from sandbox import Program

SEES_ITS_TEXT: Final = re.compile(
    r"coding|inspect|linecache|traceback|tokenize|frame|lineno|getsource|open|path|file|trace|"
    r"profile|exc_info|import_|importlib|loader|spec|ctypes|gc|marshal|warnings|co_|__code__|exec|eval"
)
"""Words of a program that might look at its own text or line numbers; too many of them on purpose."""


def shape(program: Program) -> Program:
    """Return the program that all those stand for which do the same as this one.

    The rule: two sources are the same if Python parses them into the same tree (docstrings and the text
    of f"{x=}" are in it, comments, blank lines and line numbers are not) and neither holds a word by which a
    program can see its own text or lines. Any other two are the same only to the letter.

    Args:
        program: any; its check, exchanges and trust are always part of the comparison.
    """
    if SEES_ITS_TEXT.search(program.source):
        return program
    try:
        tree = ast.dump(ast.parse(program.source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program
    return replace(program, source=f"\0{tree}")  # no text of a program's own begins like this

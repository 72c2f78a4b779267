"""Right and wrong programs for a problem, made from its canonical solution.

They are ours, not a model's, and it is this module that makes sure of it: a wrong one changes only
what the solution returns, so that it has no side effects and no loops that the solution has not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice

from rehearsal.problems import Problem

WRONG_MAX = 8
"""How many different wrong programs a problem has; wrong answers of real models repeat as well."""

_INDENT = "    "
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program in the ways an answer may give it.

    Attributes:
        whole: The whole program (or the plain answer).
        continuation: What follows the problem's prompt, where the prompt begins the program.
        is_code: Whether it is a program at all, and not a plain answer.
    """

    whole: str
    continuation: str | None = None
    is_code: bool = True


def right_programs(problem: Problem) -> tuple[Program, ...]:
    """Return the canonical solution as it stands, and without its docstring where it has one."""
    solution = problem.solution or ""
    source = _source(problem)
    if source is None:
        return (Program(whole=solution, is_code=False),)
    continuation = solution if _is_continued(problem) else None
    as_it_stands = Program(whole=source, continuation=continuation)
    tree, function = _parse(source, problem.entry_point)
    if ast.get_docstring(function) is None or len(function.body) == 1:
        return (as_it_stands,)
    function.body = function.body[1:]
    return (as_it_stands, Program(whole=ast.unparse(tree) + "\n", continuation=continuation))


def wrong_programs(problem: Problem) -> tuple[Program, ...]:
    """Return plausible programs (or plain answers) that are not the solution.

    Every one returns something else than the canonical solution, or raises, wherever the solution
    returns a value other than None and its first argument.
    """
    source = _source(problem)
    if source is None:
        return (Program(whole=_wrong_text(problem.solution or ""), is_code=False),)
    return tuple(islice(_mutants(source, problem), WRONG_MAX))


def _wrong_text(solution: str) -> str:
    """Change the last number of a plain answer."""
    numbers = list(re.finditer(r"\d+", solution))
    if not numbers:
        return "I am not sure."
    last = numbers[-1]
    return f"{solution[: last.start()]}{int(last.group()) + 1}{solution[last.end() :]}"


def _source(problem: Problem) -> str | None:
    """Return the whole right program, or None where the solution is a plain answer."""
    if _is_continued(problem):
        return problem.prompt + (problem.solution or "")
    return problem.solution if _has_function(problem.solution or "", None) else None


def _is_continued(problem: Problem) -> bool:
    source = problem.prompt + (problem.solution or "")
    return problem.entry_point is not None and _has_function(source, problem.entry_point)


def _has_function(source: str, name: str | None) -> bool:
    try:
        _parse(source, name)
    except (SyntaxError, ValueError, StopIteration):
        return False
    return True


def _parse(source: str, name: str | None) -> tuple[ast.Module, _Function]:
    """Parse a program and find its function of that name (its last, where it has none of it)."""
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, _Function)]
    named = [function for function in functions if function.name == name]
    return tree, next(reversed(named or ([] if name else functions)))


def _mutants(source: str, problem: Problem) -> Iterator[Program]:
    _, function = _parse(source, problem.entry_point if _is_continued(problem) else None)
    keeps_docstring = ast.get_docstring(function) is not None
    for body in _wrong_bodies(function):
        tree, mutant = _parse(source, function.name)
        mutant.body = (mutant.body[:1] if keeps_docstring else []) + body
        continuation = None
        if _is_continued(problem):
            statements = "\n".join(ast.unparse(statement) for statement in body)
            continuation = re.sub(r"^(?=.)", _INDENT, statements, flags=re.MULTILINE) + "\n"
            if not _has_function(problem.prompt + continuation, function.name):
                continue
        yield Program(
            whole=ast.unparse(ast.fix_missing_locations(tree)) + "\n", continuation=continuation
        )


def _wrong_bodies(function: _Function) -> Iterator[list[ast.stmt]]:
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    yield from _mutate_returns(statements)
    yield ast.parse("return None").body
    yield ast.parse("raise NotImplementedError('not written yet')").body
    if function.args.args:
        yield ast.parse(f"return {function.args.args[0].arg}").body


def _mutate_returns(statements: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """Change what is returned, and nothing that steers a loop or a recursion."""
    if not any(isinstance(node, ast.Return) and node.value for node in _own_nodes(statements)):
        return
    for change in (_plus_one, _negated, _in_a_list):
        body = deepcopy(statements)
        for node in _own_nodes(body):
            if isinstance(node, ast.Return) and node.value is not None:
                node.value = change(node.value)
        yield body


def _own_nodes(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Walk the statements, but not the functions and classes defined in them."""
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _Function | ast.ClassDef | ast.Lambda):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def _plus_one(value: ast.expr) -> ast.expr:
    return ast.BinOp(left=value, op=ast.Add(), right=ast.Constant(1))


def _negated(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(op=ast.Not(), operand=value)


def _in_a_list(value: ast.expr) -> ast.expr:
    return ast.List(elts=[value], ctx=ast.Load())

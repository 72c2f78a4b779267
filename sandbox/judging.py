"""Judging apart: the check runs in a process that the program can't reach, and calls it over a wire.

The judge holds the check with its expected values; the program's process holds the program. What
crosses the wire are calls in one direction and plain values in the other (`sandbox.plain`), so the
check compares values that no code of the program's has a hand in. Stands alone, as the runner.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import operator
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from sandbox.plain import Malformed, is_array, pack, unpack

LENGTH = struct.Struct(">I")
VALUE_BYTES = 4 << 20  # a longer value is equal to nothing; tests that are data have none
REQUEST_BYTES = 1 << 30  # what the judge sends is the check's; the memory limit is the bound
ALIASES = {"np": "numpy", "pd": "pandas"}
"""Under what names modules go that a check uses and the program imported."""
TOGETHER = frozenset(("globals", "locals", "vars", "dir", "eval", "exec"))
"""A check that asks for these looks at its own surroundings, and can't be moved away from them."""


class NotApart(BaseException):
    """This check can't be run apart from the program: it hands over what is not plain.

    The check alone decides that; a program that could bring it about would choose its judge.
    """


class Gone(BaseException):
    """The other end of the wire has hung up, or makes no sense."""


# The wire.


def send(wire: socket.socket, text: str) -> None:
    """Sends one text.

    Raises:
        Gone: nobody takes it.
    """
    data = text.encode()
    try:
        wire.sendall(LENGTH.pack(len(data)) + data)
    except OSError as error:
        raise Gone from error


def receive(wire: socket.socket, bytes_max: int) -> str:
    """Receives one text.

    Raises:
        Gone: there is none, or it is longer than it may be.
    """
    count = LENGTH.unpack(_exactly(wire, LENGTH.size))[0]
    if count > bytes_max:
        raise Gone
    return _exactly(wire, count).decode("utf-8", "replace")


def _exactly(wire: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            chunk = wire.recv(min(count - len(data), 1 << 16))
        except OSError as error:
            raise Gone from error
        if not chunk:
            raise Gone
        data += chunk
    return bytes(data)


# The program's end: it answers calls. Nothing that it says is trusted.


class Kept:
    """Values that are not plain; only their numbers cross the wire."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def __call__(self, value: Any) -> list[Any]:
        """Keeps a value, and returns what goes over the wire for it."""
        self._values.append(value)
        return ["object", len(self._values) - 1]

    def value(self, number: int) -> Any:
        """Gives back a value by its number."""
        return self._values[number]


ASKED: dict[str, Callable[..., Any]] = {
    "call": lambda target, *args, **kwargs: target(*args, **kwargs),
    "iter": list,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "attribute": getattr,
    "item": operator.getitem,
}
CHANGEABLE = (list, dict, set, bytearray)


def answer_calls(
    wire: socket.socket, namespace: dict[str, Any], describe: Callable[[BaseException], bytes]
) -> None:
    """Does what the judge asks for until it hangs up.

    Args:
        wire: to the judge.
        namespace: the program's.
        describe: says what an exception is and where it arose.
    """
    kept = Kept()
    with suppress(Gone):
        names = json.loads(receive(wire, REQUEST_BYTES))
        known = {name: _defined(namespace[name], kept) for name in names if name in namespace}
        send(wire, json.dumps(known))
        while True:
            send(wire, _answer(receive(wire, REQUEST_BYTES), kept, describe))


def _defined(value: Any, kept: Kept) -> Any:
    return ["module", kept(value)] if isinstance(value, ModuleType) else _packed(value, kept)


def _answer(request: str, kept: Kept, describe: Callable[[BaseException], bytes]) -> str:
    kind, sent, named = json.loads(request)
    args = [unpack(arg, kept.value) for arg in sent]
    kwargs = {name: unpack(arg, kept.value) for name, arg in named.items()}
    try:
        value = ASKED[kind](*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - it goes on to the check, as it would have anyhow
        bases = [base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins"]
        told = describe(error).decode("utf-8", "replace").split("\0")
        return json.dumps(["raised", bases[0], *told])
    changed = [
        [place, after]
        for place, arg in enumerate(args)
        if (isinstance(arg, CHANGEABLE) or is_array(arg))
        and (after := _packed(arg, kept)) != sent[place]
    ]
    answer = json.dumps(["value", _packed(value, kept), changed])
    if len(answer) > VALUE_BYTES:
        return json.dumps(["value", kept(value), []])
    return answer


def _packed(value: Any, kept: Kept) -> Any:
    try:
        return pack(value, kept)
    except Exception:  # noqa: BLE001 - nested too deeply, or something else than it says
        return kept(value)


# The judge's end.


class Program:
    """What the judge knows of the program: the other end of a wire."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire

    def names(self, wanted: list[str]) -> dict[str, Any]:
        """Returns the names of the program that the check uses; its functions as `Far` values."""
        send(self._wire, json.dumps(wanted))
        found = self._said()
        if not isinstance(found, dict):
            raise Gone
        known = {}
        for name in wanted:
            match found.get(name):
                case ["module", far]:
                    known[name] = _module(name) or self._value(far)
                case value if name in found:
                    known[name] = self._value(value)
        return known

    def ask(self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Has the program do something with values.

        Raises:
            Exception: what the program raised, under its name.
            NotApart: an argument is not plain.
            Gone: the program has gone, or does not make sense.
        """
        sent = [pack(arg, _number) for arg in args]
        named = {name: pack(arg, _number) for name, arg in kwargs.items()}
        send(self._wire, json.dumps([kind, sent, named]))
        match self._said():
            case ["raised", str(base), str(name), *told]:
                raise _exception(base, name, str(told[0]) if told else name)
            case ["value", value, list(changed)]:
                for place, after in (pair for pair in changed if _is_place(pair, args)):
                    _change(args[place], self._value(after))
                return self._value(value)
        raise Gone

    def _said(self) -> Any:
        try:
            return json.loads(receive(self._wire, VALUE_BYTES))
        except (ValueError, RecursionError) as error:
            raise Gone from error

    def _value(self, packed: Any) -> Any:
        try:
            return unpack(packed, lambda number: Far(self, number))
        except (Malformed, RecursionError) as error:
            raise Gone from error


class Far:
    """A value of the program's that is not plain. It equals nothing but itself."""

    # What is done with it is done in the program; plain values come back.

    def __init__(self, program: Program, number: int) -> None:
        self._far = program, number

    def _ask(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        return self._far[0].ask(kind, (self, *args), kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls it, over there."""
        return self._ask("call", *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array"):  # numpy would take its word for where in our memory it is
            raise AttributeError(name)
        return self._ask("attribute", name)

    def __getitem__(self, key: Any) -> Any:
        return self._ask("item", key)

    def __iter__(self) -> Any:
        return iter(self._ask("iter"))

    def __len__(self) -> int:
        return int(self._ask("len"))

    def __bool__(self) -> bool:
        return self._ask("bool") is True

    def __str__(self) -> str:
        return str.__str__(self._ask("str"))

    def __repr__(self) -> str:
        return str.__str__(self._ask("repr"))


def _number(value: Any) -> list[Any]:
    if type(value) is Far:
        return ["object", value._far[1]]
    raise NotApart


def _is_place(pair: Any, args: tuple[Any, ...]) -> bool:
    match pair:
        case [int(place), _]:
            return 0 <= place < len(args)
    return False


def _change(value: Any, after: Any) -> None:
    """Does to an argument what the program did to its copy."""
    if type(value) is not type(after):
        return
    if isinstance(value, (list, bytearray)):
        value[:] = after
    elif isinstance(value, (dict, set)):
        value.clear()
        value.update(after)
    elif is_array(value) and value.shape == after.shape:
        value[...] = after


def _exception(base: str, name: str, told: str) -> Exception:
    """An exception of the program's, with its name, and with Python's own class as its base."""
    kind = getattr(builtins, base, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = Exception
    if issubclass(kind, (StopIteration, StopAsyncIteration)):
        kind = RuntimeError  # or it would end the check's own loop over map(f, ...), as if all was well
    if not name.isidentifier():
        name = "Exception"
    methods = {"__init__": lambda *_: None, "__str__": lambda _: told}
    error: Exception = type(name, (kind,), methods)()
    vars(error)["told"] = told  # the whole of what is to be said
    return error


def _module(name: str) -> ModuleType | None:
    """A module that the check uses, though the program imported it; None if there is none here.

    Nothing that the program says may have the check run together with it, so that is no NotApart.
    """
    try:
        return importlib.import_module(ALIASES.get(name, name))
    except ImportError:
        return None


def free_names(check: str) -> list[str]:
    """The names that a check uses and does not itself define.

    A name of Python's own is the program's where it is handed over to be tested, as in `check(sum)`, and
    where there is no other: MBPP has a `sum` of two numbers.

    Raises:
        NotApart: the check looks at its own surroundings.
        SyntaxError: it is not Python.
    """
    used, bound, called = set(), set(), []
    tree = ast.parse(check)
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound.add(name)
            case ast.ClassDef(name=name):
                bound.add(name)
            case ast.alias(name=name, asname=other):
                bound.add(other or name.partition(".")[0])
        match node:
            case ast.Call(func=ast.Name(id=name)):
                called.append(name)
    if (used - bound) & TOGETHER:
        raise NotApart
    tested = {
        argument.id
        for statement in tree.body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        for argument in statement.value.args
        if isinstance(argument, ast.Name)
    }
    own = set(vars(builtins)) - tested
    free = sorted(used - bound - own)
    return free or [name for name in dict.fromkeys(called) if name not in bound][:1]


def judge(
    wire: socket.socket,
    check: str,
    execute: Callable[[str, str, dict[str, Any]], None],
) -> str:
    """Runs a check against the program at the other end of a wire.

    Args:
        wire: to the program.
        check: trusted code.
        execute: runs a text under a file's name in a namespace.

    Returns:
        "passed"; "together" where the check can't be run apart; "gone" where the program has gone.

    Raises:
        Exception: whatever came out of the check.
    """
    module = type(sys)("program")
    namespace = vars(module)
    namespace["__builtins__"] = builtins
    sys.modules["program"] = sys.modules["__main__"] = module
    try:
        namespace.update(Program(wire).names(free_names(check)))
        execute(check, "<check>", namespace)
    except NotApart:
        return "together"
    except Gone:
        return "gone"
    return "passed"

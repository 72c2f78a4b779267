"""The README lists the commands that the app has; run as a program, this file writes the list."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from bursar.cli.commands import app

README = Path(__file__).parents[3] / "README.md"
BEGIN = "<!-- commands: `python tests/unit/bursar/test_readme.py` writes them -->\n"
END = "<!-- /commands -->"
HIDDEN_OPTIONS = ("--json", "--help", "--install-completion", "--show-completion")


def block() -> str:
    """One line for each command: its name, its arguments, its help's first sentence."""
    lines = list(commands(typer.main.get_command(app), "bursar"))
    width = max(len(usage) for usage, _ in lines)
    written = "\n".join(f"{usage:{width}}  {sentence}" for usage, sentence in lines)
    return f"```text\n{written}\n```\n"


def commands(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """All commands under one, in the order in which help shows them."""
    below = getattr(command, "commands", {})
    for word, child in below.items():
        yield from commands(child, f"{name} {word}")
    if not below:
        sentence = re.split(r"(?<=\.)\s", command.help)[0]
        yield " ".join([name, *arguments(command)]), " ".join(sentence.split())


def arguments(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield parameter.metavar or parameter.name.upper()
        elif parameter.opts[0] not in HIDDEN_OPTIONS:
            value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
            written = f"{parameter.opts[0]}{value}"
            yield written if parameter.required else f"[{written}]"


def parts() -> tuple[str, str, str]:
    """The README before the block, the block, and the README after it."""
    before, found, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    written, end, after = rest.partition(END)
    assert (bool(found), bool(end)) == (True, True), f"README.md lacks {BEGIN!r} or {END!r}"
    return before + BEGIN, written, END + after


def test_the_readme_lists_the_commands_that_there_are() -> None:
    _, written, _ = parts()
    assert written == block(), "rewrite it: python tests/unit/bursar/test_readme.py"


if __name__ == "__main__":
    before, _, after = parts()
    README.write_text(before + block() + after, encoding="utf-8")

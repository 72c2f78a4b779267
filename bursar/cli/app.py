"""The app, its options that several commands share, and how a command gets at studies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bursar.cluster import Cluster, has_studies, reach
from bursar.home import Home
from study.errors import UnknownStudy

app = typer.Typer(
    name="bursar",
    help="Finds the cheapest way to get good answers from an LLM API, under a dollar budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
budget = typer.Typer(help="What a study, or the whole fleet, may spend.", no_args_is_help=True)
app.add_typer(budget, name="budget")

Json = Annotated[
    bool,
    typer.Option("--json", help="Standard output is one JSON object; all else goes to stderr."),
]
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
StudyId = Annotated[str, typer.Argument(metavar="ID", help="The study, as `bursar list` names it.")]


@contextmanager
def studies_here(study: str | None = None) -> Iterator[Cluster]:
    """Reach the Redis with the studies.

    Args:
        study: the one that is asked for, if it is one.

    Raises:
        UnknownStudy: no study was ever made in this folder, or none can have this id.
    """
    home = Home()
    if study is not None and not (_is_text(study) and has_studies(home)):
        raise UnknownStudy(study)
    with reach(home) as cluster:
        yield cluster


def _is_text(word: str) -> bool:
    """Whether a word of the command line is valid UTF-8; else it holds surrogates."""
    return word.encode("utf-8", "ignore").decode() == word

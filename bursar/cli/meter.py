"""Meter: how far a study is, on standard error: a live picture on a terminal, else a line now and then."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bursar.cli import figures, screen
from bursar.configs import prompts_of
from coordinator.report import public_config
from study import money
from study.studies import Source, StudyRecord

if TYPE_CHECKING:  # it stands beside Celery, which takes a second
    from coordinator.drive import Progress

LINE_EVERY_S: Final = 5.0


class Meter:
    """Shows a study's progress while the context lasts."""

    def __init__(self, *, what: str = "tuning") -> None:
        self._what = what
        self._console = screen.notes()
        self._live: Live | None = None
        self._record: StudyRecord | None = None
        self._progress: Progress | None = None
        self._begun_s = time.monotonic()
        self._line_s = float("-inf")
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._picture,
                console=self._console,
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def start(self, record: StudyRecord) -> None:
        """Say which study begins."""
        self._record = record
        self._console.print(f"[bold]{self._title}[/] {record.id}")

    @property
    def study(self) -> StudyRecord | None:
        """The study that was begun, if one was."""
        return self._record

    def say(self, sentence: str, *, style: str = "yellow") -> None:
        """Say something once, above the picture."""
        if sentence not in self._said:
            self._said.add(sentence)
            self._console.print(Text(sentence, style=style), soft_wrap=self._live is None)

    def progress(self, progress: "Progress") -> None:
        """Take in how things stand."""
        self._progress = progress
        if progress.note and self._live is None:
            self.say(progress.note)
        now = time.monotonic()
        if self._live is None and now - self._line_s >= LINE_EVERY_S:
            self._line_s = now
            sys.stderr.write(f"{self._line(progress)}\n")
            sys.stderr.flush()

    @property
    def _title(self) -> str:
        record = self._record
        rehearsal = record is not None and record.source is Source.REHEARSAL
        return (
            f"{self._what} (rehearsal: no model is asked, no money spent)"
            if rehearsal
            else self._what
        )

    @property
    def _elapsed(self) -> str:
        return figures.clock(time.monotonic() - self._begun_s)

    def _line(self, progress: "Progress") -> str:
        words = [
            self._elapsed,
            figures.counted(progress.trials, "trial"),
            f"{progress.completions_paid:,} completions",
            f"{progress.in_flight} in flight",
            f"{self._money(progress)}",
        ]
        if progress.best is not None:
            best = progress.best
            words.append(f"best {best.value:.3f} ± {best.std_error:.3f}")
        return "  ".join(words)

    def _money(self, progress: "Progress") -> str:
        balance = progress.balance
        limit = "no limit" if balance.limit is None else money.show(balance.limit)
        return f"{money.show(balance.spent)} of {limit}"

    def _picture(self) -> RenderableType:
        progress, record = self._progress, self._record
        if progress is None or record is None:
            return Text(f"{self._elapsed}  starting workers", style="dim")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", width=12)
        grid.add_column()
        balance = progress.balance
        if balance.limit:
            bar = ProgressBar(total=balance.limit, completed=balance.spent, width=32)
            amounts = Text(f"{self._money(progress)}, {money.show(balance.reserved)} in flight")
            line = Table.grid(padding=(0, 2))
            line.add_row(bar, amounts)
            grid.add_row("spent", line)
        grid.add_row(
            "trials",
            f"{progress.trials} ({progress.trials_running} running), "
            f"{progress.completions_paid:,} completions, {progress.in_flight} calls in flight",
        )
        if progress.best is not None:
            best = progress.best
            cost = money.show(best.inference_cost_nanodollars)
            words = figures.config(
                public_config(record.spec, best.config), prompts=prompts_of(record.spec)
            )
            grid.add_row(
                "best so far",
                f"[bold]{best.value:.3f}[/] ± {best.std_error:.3f} at {cost} a request",
            )
            grid.add_row("", Text(words, style="dim", overflow="ellipsis", no_wrap=True))
        note = [Text(progress.note, style="yellow")] if progress.note else []
        return Group(Text(self._elapsed, style="dim"), grid, *note)

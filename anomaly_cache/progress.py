"""How far a long command has come, for whoever watches: a bar on a terminal, a few plain lines elsewhere."""

from types import TracebackType
from typing import Self

import click
from rich import progress as rich
from rich.console import Console
from rich.table import Column

LINES = 4
"""How many lines there are where there is no terminal."""


class Progress:
    """Show on standard output how many of `total` items are done; `noun` says what they are, in the plural.

    Use it as a context manager.
    """

    def __init__(self, total: int, noun: str) -> None:
        self._total = total
        self._noun = noun
        self._done = 0
        console = Console()
        self._bar = (
            rich.Progress(
                rich.TextColumn("{task.description}"),
                rich.BarColumn(bar_width=None),
                rich.TextColumn("{task.completed:,} of {task.total:,}", table_column=Column(no_wrap=True)),
                rich.TimeElapsedColumn(table_column=Column(no_wrap=True)),
                expand=True,
                console=console,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task(self._noun, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int) -> None:
        """Show that `count` more are done."""
        before, self._done = self._done, self._done + count
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)
        elif before * LINES // self._total < self._done * LINES // self._total:
            click.echo(f"{self._noun}: {self._done:,} of {self._total:,}")

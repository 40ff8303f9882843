"""Where progress is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["progress_bar"]


class progress_bar:  # noqa: N801 - used like a function
    """A progress bar on standard error where that is a terminal; silent elsewhere, notebooks included."""

    def __init__(self, title: str, total: int, wanted: bool):
        self.progress = None
        if wanted and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TimeRemainingColumn(),
            )
            self.progress = Progress(*columns, console=Console(stderr=True))
            self.task = self.progress.add_task(title, total=total)

    def __enter__(self) -> Callable[[int], None]:
        if self.progress is None:
            return lambda steps: None
        self.progress.start()
        return lambda steps: self.progress.advance(self.task, steps)

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.progress.stop()

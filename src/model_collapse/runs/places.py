"""Where records and resume states live, and where progress is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["CHECKOUT", "cache_root", "progress_bar", "results_root"]

CHECKOUT = Path(__file__).resolve().parents[3]
"""The checkout that this package lies in; where it is installed instead, a folder without ``_toc.yml``."""


def cache_root() -> Path:
    """Where resume states live: ``MODEL_COLLAPSE_CACHE``, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-collapse"
    return Path(os.environ.get("MODEL_COLLAPSE_CACHE") or default)


def results_root() -> Path:
    """Where records live: ``MODEL_COLLAPSE_RESULTS``, or ``data/results`` of the checkout, or ``results`` here."""
    if named := os.environ.get("MODEL_COLLAPSE_RESULTS"):
        return Path(named)
    return CHECKOUT / "data" / "results" if (CHECKOUT / "_toc.yml").exists() else Path("results")


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

"""What a book is made of: the commit of its checkout, and the versions of what built it."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["NAME", "Commit", "commit", "made_of"]

NAME = "model-collapse-replicated"


@dataclass(frozen=True)
class Commit:
    """What a checkout is at: the abbreviated name and the day of its commit, and whether files differ from it."""

    name: str
    date: str
    changed: bool


def commit(root: Path = Path(".")) -> Commit | None:
    """The commit of a checkout; None for a copy that git does not know, or that lies in somebody else's repository."""

    def git(*command: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return None
        name, date = git("log", "-1", "--format=%h %cs").split()
        return Commit(name, date, bool(git("status", "--porcelain")))
    except (OSError, subprocess.CalledProcessError):
        return None


def made_of(root: Path = Path(".")) -> str:
    """A line for the foot of every page: version, commit and day of the checkout, and what builds the pages."""
    now = commit(root)
    state = f"commit {now.name} of {now.date}{', with changes' if now.changed else ''}" if now else "outside a checkout"
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("jupyter-book", "numpy", "torch"))
    return f"Version {metadata.version(NAME)}, {state}; built with Python {platform.python_version()}, {packages}."

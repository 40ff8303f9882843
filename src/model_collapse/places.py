"""Where this package lies, and where records and resume states do."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CHECKOUT", "cache_root", "results_root"]

CHECKOUT = Path(__file__).resolve().parents[2]
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

"""What a language model learns from: blocks of tokens, each in the place of a human block.

A generated block is the continuation of the human block at its place (or of what a model once put there), so a pool is
a text in which some blocks have been replaced. A place can be filled more than once where data accumulate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..rows import Rows

__all__ = ["Blocks"]


@dataclass(frozen=True)
class Blocks(Rows):
    """Token ids of shape (blocks, length), and the place of each, shape (blocks,)."""

    ids: np.ndarray
    places: np.ndarray

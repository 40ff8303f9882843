"""What a GAN learns from: pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..rows import Rows

__all__ = ["Pictures"]


@dataclass(frozen=True)
class Pictures(Rows):
    """8-bit images of shape (images, side, side, channels)."""

    images: np.ndarray

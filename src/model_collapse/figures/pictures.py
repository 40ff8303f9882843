"""Sheets and rows of generated pictures, grey or coloured."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from . import use_style

__all__ = ["rows", "sheet", "tiled"]

INK = "gray_r"  # of digits: dark strokes on paper


def sheet(images: np.ndarray, columns: int = 6, colours: str = INK) -> Figure:
    """8-bit images (images, side, side), or with channels, as one sheet: a frame of an animation."""
    use_style()
    figure = Figure(figsize=(4.2, 4.2 * len(images) / columns**2))  # pyplot would hold on to every frame
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.imshow(tiled(images, columns), cmap=colours, vmin=0, vmax=255)
    ax.set_axis_off()
    return figure


def tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """A sheet of images with a pixel between them; one channel counts as grey."""
    images = images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images
    side = images.shape[1]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), *((0, 0) for _ in images.shape[3:])))
    grid = padded.reshape(-1, columns, side + 2, side + 2, *images.shape[3:])
    return np.concatenate([np.concatenate(row, axis=1) for row in grid])


def rows(shown: Mapping[str, np.ndarray], colours: str = INK, height: float = 0.62) -> Figure:
    """A row of images for each name."""
    use_style()
    figure, axes = plt.subplots(len(shown), 1, figsize=(7.4, height * len(shown)), squeeze=False)
    for ax, (name, images) in zip(axes[:, 0], shown.items(), strict=True):
        ax.imshow(tiled(images, len(images)), cmap=colours, vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9.5)
        ax.grid(False)
        sns.despine(ax=ax, left=True, bottom=True)
    return figure

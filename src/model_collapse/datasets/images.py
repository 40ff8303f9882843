"""Grey images: digits that ship with scikit-learn, MNIST, and a person's own."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np

from .errors import DataError

__all__ = ["ImageSet", "digits", "mnist"]


@dataclass(frozen=True)
class ImageSet:
    """Grey images of 8 bit, some held out, and what a manifest says of them.

    Attributes
    ----------
    images, held_out : numpy.ndarray of uint8, shape (images, side, side)
    labels, held_out_labels : numpy.ndarray of int, shape (images,), or None
    ignored : tuple of str
        Names of what else lay in a person's file and was not read.
    """

    name: str
    images: np.ndarray
    held_out: np.ndarray
    labels: np.ndarray | None = None
    held_out_labels: np.ndarray | None = None
    ignored: tuple[str, ...] = ()

    def card(self) -> dict[str, object]:
        """Name, SHA-256 of all pixels, numbers of images and their side; never a path."""
        checksum = hashlib.sha256(self.images.tobytes() + self.held_out.tobytes()).hexdigest()
        size = {"images": len(self.images), "held_out": len(self.held_out), "side": self.images.shape[1]}
        return (
            {"name": self.name, "sha256": checksum} | size | ({"ignored": list(self.ignored)} if self.ignored else {})
        )


def digits() -> ImageSet:
    """The 8 x 8 digits that scikit-learn carries; every sixth is held out."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    held = np.arange(len(images)) % 6 == 5
    return ImageSet("scikit-learn digits", images[~held], images[held], bunch.target[~held], bunch.target[held])


def mnist() -> ImageSet:
    """MNIST through torchvision: from ``MODEL_COLLAPSE_DATA``, or from the user's cache, or downloaded there.

    Raises
    ------
    DataError
        Where it is in neither place and cannot be downloaded.
    """
    from torchvision.datasets import MNIST

    from ..runs.places import cache_root

    given = os.environ.get("MODEL_COLLAPSE_DATA")
    for root, download in ((given, False), (cache_root() / "data", False), (cache_root() / "data", True)):
        try:
            sets = [MNIST(root, train=train, download=download) for train in (True, False)] if root else []
        except (RuntimeError, OSError) as error:
            reason = error
            continue
        if sets:
            (train, test) = ((part.data.numpy(), part.targets.numpy()) for part in sets)
            return ImageSet("MNIST", train[0], test[0], train[1], test[1])
    raise DataError(f"MNIST is not here and cannot be downloaded ({reason}): put it where MODEL_COLLAPSE_DATA points")

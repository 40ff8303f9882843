"""Sets of items to be watched: points, images, texts, read from a person's files by the readers of every family."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from ..datasets import DataError, ImageSet, PointSet, Text, read_images, read_points, read_text
from ..datasets.arrays import fewest_axes

__all__ = ["KINDS", "Compared", "ItemSet", "as_set", "joined", "of_items", "read_set"]

KINDS = ("points", "images", "text")
UNITS = {"points": "points", "images": "images", "text": "passages of 64 words"}
WORDS = 64  # of a passage, the item of a text
LEADING = 50  # principal components that images and texts are compared in


@dataclass(frozen=True)
class ItemSet:
    """Items of one kind.

    Attributes
    ----------
    kind : {"points", "images", "text"}
    items : numpy.ndarray or list of str
        Points (points, dimensions), pixels (images, pixels), or passages.
    """

    name: str
    kind: str
    items: np.ndarray | list[str]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def unit(self) -> str:
        return UNITS[self.kind]

    def some(self, most: int, rng: np.random.Generator) -> ItemSet:
        """At most so many of them, drawn without replacement."""
        if len(self) <= most:
            return self
        return self.pick(np.sort(rng.choice(len(self), most, replace=False)))

    def and_all(self, other: ItemSet) -> ItemSet:
        """The items of this set, then those of another of its kind."""
        both = [*self.items, *other.items] if self.kind == "text" else np.concatenate([self.items, other.items])
        return ItemSet(self.name, self.kind, both)

    def pick(self, numbers: np.ndarray) -> ItemSet:
        """The items of these numbers."""
        items = [self.items[i] for i in numbers] if self.kind == "text" else self.items[numbers]
        return ItemSet(self.name, self.kind, items)


@dataclass(frozen=True)
class Compared:
    """Two sets as one: ``points`` (items, dimensions), and of texts ``words``, counts (items, words)."""

    points: np.ndarray
    words: csr_matrix | None = None


def read_set(path: Path, kind: str | None = None) -> ItemSet:
    """A person's own set.

    Parameters
    ----------
    kind : {"points", "images", "text"} or None
        None goes by the file: .csv, and .npy or .npz of two axes, hold points; .npy or .npz of more axes, idx files,
        folders and .zip hold images; anything else is text.

    Raises
    ------
    DataError
        As the readers of these kinds raise it.
    """
    kind = kind or _kind(path)
    if kind == "points":
        return as_set(read_points(path))
    if kind == "images":
        return as_set(read_images(path))
    if kind == "text":
        return as_set(read_text(path))
    raise DataError(f"no kind {kind!r}: take {', '.join(KINDS)}")


def as_set(data: PointSet | ImageSet | Text) -> ItemSet:
    """Data of a family as a set; images count whether they are held out or not."""
    if isinstance(data, PointSet):
        return of_items(data.x, data.name)
    if isinstance(data, ImageSet):
        return of_items(np.concatenate([data.images, data.held_out]), data.name)
    words = data.text.split()
    passages = [" ".join(words[k : k + WORDS]) for k in range(0, len(words) - WORDS + 1, WORDS)]
    return of_items(passages, data.name)


def of_items(items: np.ndarray | list[str], name: str = "") -> ItemSet:
    """Points (items, dimensions), 8-bit images (items, side, side), channels last if any, or passages, as a set."""
    if isinstance(items, list):
        return ItemSet(name, "text", items)
    if items.ndim == 2:
        return ItemSet(name, "points", items)
    return ItemSet(name, "images", items.reshape(len(items), -1) / 255)


def joined(reference: ItemSet, candidate: ItemSet) -> Compared:
    """Both sets' items, reference first, in coordinates that do not know which is which.

    Points are divided by the standard deviations of all; images and texts (as TF-IDF) become their leading principal
    components.

    Raises
    ------
    DataError
        Where shapes differ.
    """
    if reference.kind == "text":
        return _texts([*reference.items, *candidate.items])
    widths = [one.items.shape[1] for one in (reference, candidate)]
    if widths[0] != widths[1]:
        what = "dimensions" if reference.kind == "points" else "pixels"
        raise DataError(f"{reference.name} has {widths[0]} {what}, {candidate.name} {widths[1]}")
    both = np.concatenate([reference.items, candidate.items])
    if reference.kind == "points":
        return Compared((both - both.mean(axis=0)) / both.std(axis=0).clip(1e-12))
    from sklearn.decomposition import PCA

    return Compared(PCA(min(LEADING, *both.shape), svd_solver="randomized", random_state=0).fit_transform(both))


def _texts(passages: list[str]) -> Compared:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    counts = CountVectorizer(token_pattern=r"[^\W\d_]+(?:['’-][^\W\d_]+)*").fit_transform(passages)
    weights = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    size = min(LEADING, min(weights.shape) - 1)
    return Compared(TruncatedSVD(size, random_state=0).fit_transform(weights), counts)


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return "points"
    if suffix == ".npy" or suffix == ".npz":
        return "points" if fewest_axes(path) == 2 else "images"
    if path.is_dir() or suffix in (".zip", ".gz", ".idx") or "ubyte" in path.name:
        return "images"
    return "text"

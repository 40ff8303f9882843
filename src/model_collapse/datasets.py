"""Named real data with their checksums, and a person's own data, read with care."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tokenize
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = [
    "DataError",
    "ImageSet",
    "PointSet",
    "Text",
    "digits",
    "language_reference",
    "mnist",
    "read_points",
    "read_text",
    "word_counts",
]

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


class DataError(ValueError):
    """Data that cannot be read or used. The message is one line that names the file and the reason."""


@dataclass(frozen=True)
class Text:
    """A text and what a manifest says of it."""

    name: str
    text: str

    def card(self) -> dict[str, object]:
        """Name, SHA-256, length, words and different words; never a path."""
        encoded, counts = self.text.encode(), word_counts(self.text)
        checksum = hashlib.sha256(encoded).hexdigest()
        size = {"bytes": len(encoded), "words": sum(counts.values()), "types": len(counts)}
        return {"name": self.name, "sha256": checksum} | size


def language_reference() -> Text:
    """The language reference that every CPython carries (``pydoc_data.topics``), topics in order of their names."""
    from pydoc_data.topics import topics

    version = ".".join(platform.python_version_tuple()[:2])
    return Text(f"CPython {version} language reference", "\n\n".join(topics[name] for name in sorted(topics)))


def read_text(path: Path) -> Text:
    """A person's own text file, UTF-8.

    Raises
    ------
    DataError
        Where the file is missing, empty, binary, not UTF-8, or holds no words.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: {error.strerror or error}") from None
    if not raw.strip():
        raise DataError(f"{path.name} is empty")
    if b"\0" in raw:
        raise DataError(f"{path.name} is binary, not text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 (byte {error.start}); convert it first, e.g. with iconv") from None
    if not _WORD.search(text):
        raise DataError(f"{path.name} holds no words")
    return Text(path.name, text)


def word_counts(text: str) -> dict[str, int]:
    """Count of every word, lower case, commonest first (ties in alphabetical order)."""
    counts = Counter(_WORD.findall(text.lower()))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


MOST_DIMENSIONS = 10


@dataclass(frozen=True)
class PointSet:
    """Points, ``x`` of shape (points, dimensions), and what a manifest says of them."""

    name: str
    x: np.ndarray

    def card(self) -> dict[str, object]:
        """Name, SHA-256 of the values, points and dimensions; never a path."""
        checksum = hashlib.sha256(np.ascontiguousarray(self.x, dtype="<f8").tobytes()).hexdigest()
        return {"name": self.name, "sha256": checksum, "points": len(self.x), "dimensions": self.x.shape[1]}


def read_points(path: Path) -> PointSet:
    """A person's own points: .csv (with or without a header line), .npy, or .npz.

    Of a .npz the array named ``points`` is taken, else the only one with two axes.

    Raises
    ------
    DataError
        Where the file is missing, unreadable or not of that kind, where a value is no finite number, and where the
        points have another shape than (points, 1 to 10) or a coordinate that is the same in all of them.
    """
    readers = {".csv": _read_csv, ".npy": _read_numpy, ".npz": _read_numpy}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path.name}: points come as .csv, .npy or .npz, not as {path.suffix or 'a file without one'}")
    try:
        x = readers[path.suffix.lower()](path)
    except OSError as error:
        raise DataError(f"{path.name}: {error.strerror or error}") from None
    if x.ndim != 2 or not 1 <= x.shape[1] <= MOST_DIMENSIONS:
        raise DataError(f"{path.name}: shape {x.shape} is not (points, dimensions) with 1 to {MOST_DIMENSIONS} of them")
    if len(x) == 0:
        raise DataError(f"{path.name} holds no points")
    if x.dtype.kind not in "biuf":
        raise DataError(f"{path.name}: values of type {x.dtype} are no real numbers")
    x = np.ascontiguousarray(x, dtype=np.float64)
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise DataError(f"{path.name}: point {row + 1}, coordinate {column + 1} is {x[row, column]}")
    constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if len(constant):
        raise DataError(f"{path.name}: coordinate {constant[0] + 1} is the same in every point; leave it out")
    return PointSet(path.name, x)


def _read_numpy(path: Path) -> np.ndarray:
    try:
        with open(path, "rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                return found
            if "points" in found.files:
                return np.asarray(found["points"])
            fitting = [x for x in (np.asarray(found[name]) for name in found.files) if x.ndim == 2]
            if len(fitting) != 1:
                raise DataError(
                    f"{path.name} holds {', '.join(found.files) or 'nothing'}: name the array of points 'points'"
                )
            return fitting[0]
    except (
        ValueError,
        SyntaxError,
        EOFError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
        tokenize.TokenError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name} cannot be read as {path.suffix}: {reason}") from None


def _read_csv(path: Path) -> np.ndarray:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 (byte {error.start})") from None
    head = next((line for line in lines if line.strip()), "")
    separator = next((mark for mark in (",", ";", "\t") if mark in head), " ")
    rows = [
        (number, [cell.strip().strip('"') for cell in line.split(None if separator == " " else separator)])
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if rows and not any(map(_is_number, rows[0][1])):
        rows = rows[1:]
    for number, row in rows:
        if len(row) != len(rows[0][1]):
            first = f"line {rows[0][0]} has {len(rows[0][1])}"
            raise DataError(f"{path.name}: line {number} has {len(row)} values, {first}")
        for column, cell in enumerate(row, start=1):
            if not _is_number(cell):
                shown = cell if len(cell) <= 40 else f"{cell[:40]}…"
                raise DataError(f"{path.name}: line {number}, column {column}: {shown!r} is not a number")
    return np.array([[float(cell) for cell in row] for _, row in rows]).reshape(len(rows), -1 if rows else 1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class ImageSet:
    """Grey images of 8 bit, some held out, and what a manifest says of them.

    Attributes
    ----------
    images, held_out : numpy.ndarray of uint8, shape (images, side, side)
    labels, held_out_labels : numpy.ndarray of int, shape (images,), or None
    """

    name: str
    images: np.ndarray
    held_out: np.ndarray
    labels: np.ndarray | None = None
    held_out_labels: np.ndarray | None = None

    def card(self) -> dict[str, object]:
        """Name, SHA-256 of all pixels, numbers of images and their side; never a path."""
        checksum = hashlib.sha256(self.images.tobytes() + self.held_out.tobytes()).hexdigest()
        size = {"images": len(self.images), "held_out": len(self.held_out), "side": self.images.shape[1]}
        return {"name": self.name, "sha256": checksum} | size


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

    from .runs.places import cache_root

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

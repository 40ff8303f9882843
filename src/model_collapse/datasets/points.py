"""Points that lie on every machine, and a person's own, from a table or an array."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .archives import refuse_bombs
from .arrays import refusing_damage
from .errors import DataError

__all__ = ["MOST_DIMENSIONS", "PointSet", "read_points", "tumours"]

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


def tumours() -> PointSet:
    """Measurements of 569 breast tumours that scikit-learn carries (UCI, Wisconsin diagnostic).

    Thirty columns of measurements and one of the kind: 1 malignant, 0 benign.
    """
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    return PointSet("scikit-learn breast cancer", np.column_stack([bunch.data, 1 - bunch.target]))


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
    with open(path, "rb") as stream, refusing_damage(path):
        found = np.load(stream, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            return found
        refuse_bombs(path.name, found.zip.infolist())
        if "points" in found.files:
            return np.asarray(found["points"])
        fitting = [x for x in (np.asarray(found[name]) for name in found.files) if x.ndim == 2]
        names = ", ".join(found.files) or "nothing"
    if len(fitting) != 1:
        raise DataError(f"{path.name} holds {names}: name the array of points 'points'")
    return fitting[0]


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

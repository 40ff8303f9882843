"""What stands in a .npy or .npz before any of it is read, and what reading a damaged one raises."""

from __future__ import annotations

import contextlib
import tokenize
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from numpy.lib import format as npy

from ..archive.files import DAMAGED_ZIP
from .errors import DataError

__all__ = ["DAMAGED", "fewest_axes", "refusing_damage"]

DAMAGED = (ValueError, SyntaxError, MemoryError, tokenize.TokenError, *DAMAGED_ZIP)
"""Errors of `numpy.load` where a file is not what its name says."""


@contextlib.contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Turn what `numpy.load` raises for a damaged file into one `DataError` that names it.

    A header as Python 2 wrote it is read without a warning: it only takes longer.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Reading `.npy` or `.npz` file required", UserWarning)
            yield
    except DataError:  # a ValueError, too
        raise
    except DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path.name} cannot be read as {path.suffix}: {reason}") from None


def fewest_axes(path: Path) -> int:
    """Axes of a .npy, or of that array of a .npz that has the fewest of those with two or more, by their headers alone.

    0 where no header can be read; the reader of the data then says why.
    """
    try:
        if not zipfile.is_zipfile(path):
            with open(path, "rb") as stream:
                return _axes(stream)
        with zipfile.ZipFile(path) as archive:
            found = []
            for name in archive.namelist():
                with archive.open(name) as stream:
                    found.append(_axes(stream))
    except (OSError, *DAMAGED):
        return 0
    return min((axes for axes in found if axes >= 2), default=0)


def _axes(stream: IO[bytes]) -> int:
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stream)
    if version not in read:
        raise ValueError(f"version {version}")
    return len(read[version](stream)[0])

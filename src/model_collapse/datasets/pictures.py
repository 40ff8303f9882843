"""A person's own images: arrays, idx files, a folder, a zip. Nothing is ever unpacked to the disk."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..archive.files import DAMAGED_ZIP
from .archives import refuse_bomb, refuse_bombs, refuse_places_outside
from .arrays import refusing_damage
from .errors import DataError
from .images import ImageSet

__all__ = ["LEAST_IMAGES", "read_images"]

SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm"}
LEAST_IMAGES, MOST_IMAGES = 60, 200_000
MOST_PIXELS = 50_000_000  # of one picture
IDX_IMAGES = 0x00000803
GREY, LONG = {"1", "L", "LA", "La"}, {"I", "I;16", "I;16B", "I;16L"}  # Pillow's modes without colours: 8 bits, more
HELD_OUT = 6  # every sixth image is held out


@dataclass(frozen=True)
class _Form:
    """What pictures become: squares of `side` pixels, in colour where any has some and colours are wanted."""

    side: int | None
    colours: bool

    def squares(self, pictures: list[Image.Image]) -> tuple[np.ndarray, list[str]]:
        """Square pictures as one array, and what was done to them, where colours are wanted."""
        widths = [picture.width for picture in pictures]
        side = self.side or (28 if max(widths) >= 16 else 8)
        if not self.colours:
            return np.stack([_resized(picture.convert("L"), side) for picture in pictures]), []
        grey = sum(picture.mode == "L" for picture in pictures)
        mode = "L" if grey == len(pictures) else "RGB"
        done = [f"{grey:,} grey pictures among coloured ones"] if 0 < grey < len(pictures) else []
        if small := sum(width < side for width in widths):
            done.append(f"{small:,} pictures of fewer than {side} x {side} pixels were enlarged")
        found = np.stack([_resized(picture.convert(mode), side) for picture in pictures])
        return (found[..., None] if mode == "L" else found), done


def read_images(path: Path, side: int | None = None, colours: bool = False) -> ImageSet:
    """Images from .npy, .npz, idx (plain or gzipped), a folder or a .zip, cut to their middle square.

    Of a .npz the array named ``images`` is taken, else the only one that can be images, with ``labels`` if it is there
    (what else it holds is named in `ImageSet.ignored`);
    in a folder or zip whose pictures all lie in folders, the innermost folder is the label. Every sixth image is held
    out.

    Parameters
    ----------
    side : int or None
        Pixels along a side; None takes 28, or 8 where all pictures are smaller than 16.
    colours : bool
        Gives images of shape (images, side, side, channels), with three channels if any picture has colours, and says
        in `ImageSet.done` what was done to pictures that differ from the others. Else images are grey, (images, side,
        side).

    Raises
    ------
    DataError
        Where nothing can be read, a shape, type or range does not fit, there are fewer than 60 images, labels do not
        match, an archive would unpack to gigabytes or names a place outside itself.
    """
    if not path.exists():
        raise DataError(f"{path.name}: No such file or directory")
    try:
        images, done, labels, *ignored = _read(path, _Form(side, colours))
    except OSError as error:
        raise DataError(f"{path.name}: {error.strerror or error}") from None
    if len(images) < LEAST_IMAGES:
        raise DataError(f"{path.name} has {len(images)} images, fewer than the {LEAST_IMAGES} that are needed")
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{path.name} has {len(labels)} labels for {len(images)} images")
    held = np.arange(len(images)) % HELD_OUT == HELD_OUT - 1
    split = (None, None) if labels is None else (labels[~held], labels[held])
    return ImageSet(path.name, images[~held], images[held], *split, tuple(ignored), tuple(done), own=True)


def _read(path: Path, form: _Form) -> tuple:
    """Images, what was done to them, labels or None, then the names of what was ignored."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _picture(file) and file.is_file())
        names = [PurePosixPath(file.relative_to(path).as_posix()) for file in files]
        return _pictures(path.name, names, (file.read_bytes() for file in files), form)
    with open(path, "rb") as stream:
        start = stream.read(4)
    if start[:2] == b"\x1f\x8b" or start == struct.pack(">I", IDX_IMAGES):
        return *_squares(_read_idx(path), path.name, form), None
    if path.suffix.lower() == ".zip":
        return _read_zip(path, form)
    if path.suffix.lower() in (".npy", ".npz"):
        return _read_arrays(path, form)
    raise DataError(f"{path.name}: images come as .npy, .npz, idx, idx.gz, a folder or a .zip")


def _picture(name: PurePath) -> bool:
    """Whether a file is a picture by its name, and not what a Macintosh leaves beside one."""
    return name.suffix.lower() in SUFFIXES and not name.name.startswith("._")


def _read_idx(path: Path) -> np.ndarray:
    try:
        opened = gzip.open if path.read_bytes()[:2] == b"\x1f\x8b" else open
        with opened(path, "rb") as stream:
            magic, count, rows, columns = struct.unpack(">IIII", stream.read(16))
            size = count * rows * columns
            if magic != IDX_IMAGES:
                raise DataError(f"{path.name} is no idx file of images")
            refuse_bomb(path.name, path.stat().st_size, size)
            raw = stream.read(size + 1)
    except (struct.error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name} cannot be read as idx: {error}") from None
    if len(raw) != size:
        raise DataError(f"{path.name} is truncated or too long: {len(raw)} bytes of pixels, not {size}")
    return np.frombuffer(raw, dtype=np.uint8).reshape(count, rows, columns)


def _read_arrays(path: Path, form: _Form) -> tuple:
    with open(path, "rb") as stream, refusing_damage(path):
        found = np.load(stream, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            return *_squares(np.asarray(found), path.name, form), None
        refuse_bombs(path.name, found.zip.infolist())
        names = found.files
        fitting = ["images"] if "images" in names else [name for name in names if found[name].ndim in (3, 4)]
        if len(fitting) != 1:
            held = ", ".join(names) or "nothing"
            raise DataError(f"{path.name} holds {held}: name the array of images 'images'")
        labels = found["labels"] if "labels" in names else None
        if labels is not None and labels.ndim != 1:
            raise DataError(f"{path.name}: labels of shape {labels.shape} are not one for each image")
        coded = None if labels is None else np.unique(labels, return_inverse=True)[1]
        ignored = (name for name in names if name not in (*fitting, "labels"))
        return *_squares(found[fitting[0]], path.name, form), coded, *ignored


def _read_zip(path: Path, form: _Form) -> tuple:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            refuse_places_outside(path.name, entries)
            refuse_bombs(path.name, entries)
            chosen = sorted(
                (entry for entry in entries if _picture(PurePosixPath(entry.filename))),
                key=lambda entry: entry.filename,
            )
            names = [PurePosixPath(entry.filename) for entry in chosen]
            return _pictures(path.name, names, (archive.read(entry) for entry in chosen), form)
    except (OSError, *DAMAGED_ZIP) as error:
        raise DataError(f"{path.name} cannot be read as .zip: {error}") from None


def _pictures(where: str, names: list[PurePosixPath], contents: Iterator[bytes], form: _Form) -> tuple:
    if not names:
        raise DataError(f"{where} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    if len(names) > MOST_IMAGES:
        raise DataError(f"{where} holds {len(names):,} pictures, more than {MOST_IMAGES:,}")
    found: list[Image.Image] = []
    for name, raw in zip(names, contents, strict=True):
        try:
            with Image.open(io.BytesIO(raw)) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise DataError(f"{where}: {name} has {picture.width} x {picture.height} pixels, too many")
                found.append(_middle(_eight_bits(picture, form.colours)))
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{where}: {name} cannot be read as a picture") from None
    folders = [name.parent.name for name in names]
    labelled = all(folders) and len(set(folders)) > 1
    return *form.squares(found), np.unique(folders, return_inverse=True)[1] if labelled else None


def _eight_bits(picture: Image.Image, colours: bool) -> Image.Image:
    """A picture the right way up, in grey or, where colours are wanted and it has some, in colours."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in LONG:  # converting them cuts off what is above 255
        x = np.asarray(picture).astype(np.int64)
        if x.min() < 0 or x.max() > 65535:
            raise ValueError("more than 16 bits")
        return Image.fromarray((x / 257).round().astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("pixels are floating-point numbers of unknown range")
    if not colours or picture.mode in GREY:
        return picture.convert("L")
    picture = picture.convert("RGB")
    levels = np.asarray(picture)
    return picture.convert("L") if (levels == levels[..., :1]).all() else picture


def _middle(picture: Image.Image) -> Image.Image:
    """The middle square, at most 256 pixels wide so that many pictures fit into memory."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return square.resize((256, 256), Image.Resampling.LANCZOS) if side > 256 else square


def _resized(picture: Image.Image, side: int) -> np.ndarray:
    return np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))


def _squares(x: np.ndarray, where: str, form: _Form) -> tuple[np.ndarray, list[str]]:
    """An array of images as 8-bit squares, and what was done to them."""
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[-1] not in (1, 3, 4):
        x = np.moveaxis(x, 1, -1)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 3, 4) or 0 in x.shape:
        raise DataError(f"{where}: shape {x.shape} is not (images, rows, columns), with or without colours")
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where}: pixels of type {x.dtype} are no numbers")
    if len(x) > MOST_IMAGES:
        raise DataError(f"{where} holds {len(x):,} images, more than {MOST_IMAGES:,}")
    low, high = x.min(), x.max()
    whole = x.dtype.kind in "biu" and x.dtype != bool
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > (255 if whole else 1):
        wanted = "0 to 255" if whole else "0 to 1"
        raise DataError(f"{where}: pixels from {low:g} to {high:g}; {x.dtype} must lie in {wanted}")
    x = x.astype(np.uint8) if whole else (x.astype(np.float32) * 255).round().astype(np.uint8)
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    pictures = (Image.fromarray(some.squeeze(-1) if x.shape[-1] == 1 else some, modes[x.shape[-1]]) for some in x)
    kept = {1: "L", 3: "RGB", 4: "RGB"}[x.shape[-1]] if form.colours else "L"
    return form.squares([_middle(picture.convert(kept)) for picture in pictures])

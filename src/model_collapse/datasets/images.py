"""Images: digits and faces that ship with libraries, MNIST, faces of CelebA, and how a person's own are held."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..archive.files import DAMAGED_ZIP
from ..places import cache_root
from .errors import DataError
from .fetching import may_fetch

FACES = Path("celeba10k") / "celeba10k_89x109.zip"
FACE_BOX = (8, 20, 82, 94)  # of the halved, aligned pictures: the face without most of what is around it
FACE_SIDE, ALL_FACES, HELD_OUT_FACES = 32, 10_000, 2000
FEW_FACES, FEW_FACES_SIDE = 100, 24

__all__ = ["FEW_FACES", "ImageSet", "digits", "faces", "few_faces", "mnist", "remarks"]


@dataclass(frozen=True)
class ImageSet:
    """Images of 8 bit, some held out, and what a manifest says of them.

    Attributes
    ----------
    images, held_out : numpy.ndarray of uint8, shape (images, side, side) or (images, side, side, channels)
    labels, held_out_labels : numpy.ndarray of int, shape (images,), or None
    ignored : tuple of str
        Names of what else lay in a person's file and was not read.
    done : tuple of str
        What was done to pictures of theirs that differ from the others.
    own : bool
        Whether they are a person's own, whatever their name.
    """

    name: str
    images: np.ndarray
    held_out: np.ndarray
    labels: np.ndarray | None = None
    held_out_labels: np.ndarray | None = None
    ignored: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    own: bool = False

    def card(self) -> dict[str, object]:
        """Name, SHA-256 of all pixels, numbers of images and their side; never a path."""
        checksum = hashlib.sha256(self.images.tobytes() + self.held_out.tobytes()).hexdigest()
        size = {"images": len(self.images), "held_out": len(self.held_out), "side": self.images.shape[1]}
        words = {"ignored": list(self.ignored), "done": list(self.done)}
        return {"name": self.name, "sha256": checksum} | size | {name: said for name, said in words.items() if said}


def remarks(said: dict) -> list[str]:
    """What a manifest says of how images were limited, left out and changed, one line each."""
    most, data, lines = said["config"]["most"], said["data"], []
    if 0 < most < data["images"] and not said["config"]["n"]:
        limit = f"the limit of profile {said['profile']}: --set most=0"
        lines.append(f"learned from {most:,} of {data['images']:,} images, {limit}")
    if "ignored" in data:
        lines.append(f"ignored in {data['name']}: {', '.join(data['ignored'])}")
    if "done" in data:
        lines.append(f"in {data['name']}: {'; '.join(data['done'])}")
    return lines


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

    given = os.environ.get("MODEL_COLLAPSE_DATA")
    here = [(given, False), (cache_root() / "data", False)]
    for root, download in [*here, (cache_root() / "data", True)] if may_fetch() else here:
        try:
            sets = [MNIST(root, train=train, download=download) for train in (True, False)] if root else []
        except (RuntimeError, OSError, ValueError, LookupError, AssertionError) as error:  # missing, or damaged
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if root == given and (Path(root) / "MNIST" / "raw").is_dir():
                raise DataError(f"MNIST at {Path(root) / 'MNIST' / 'raw'} cannot be read ({reason})") from None
            continue
        if sets:
            (train, test) = ((part.data.numpy(), part.targets.numpy()) for part in sets)
            return ImageSet("MNIST", train[0], test[0], train[1], test[1])
    raise DataError(f"MNIST is not here and cannot be downloaded ({reason}): put it where MODEL_COLLAPSE_DATA points")


def faces() -> ImageSet:
    """The first 10,000 faces of CelebA in colour, 32 x 32 pixels; the last 2,000 are held out.

    Read from ``celeba10k/celeba10k_89x109.zip``, CelebA's aligned pictures at half their size, where
    ``MODEL_COLLAPSE_DATA`` points.

    Raises
    ------
    DataError
        Where they are not there.
    """
    from PIL import Image

    path = Path(os.environ.get("MODEL_COLLAPSE_DATA") or ".") / FACES
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
            found = []
            for name in names:
                with Image.open(io.BytesIO(archive.read(name))) as picture:
                    face = picture.convert("RGB").crop(FACE_BOX)
                    found.append(np.asarray(face.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.LANCZOS)))
    except (OSError, *DAMAGED_ZIP) as error:
        reason = getattr(error, "strerror", None) or error
        missing = f"the faces of CelebA are not here ({FACES.as_posix()}: {reason})"
        raise DataError(f"{missing}: put them where MODEL_COLLAPSE_DATA points") from None
    if len(found) != ALL_FACES:
        raise DataError(f"{FACES.as_posix()} holds {len(found)} faces, not the first {ALL_FACES} of CelebA")
    images = np.stack(found)
    return ImageSet("CelebA, first 10,000 faces", images[:-HELD_OUT_FACES], images[-HELD_OUT_FACES:])


def few_faces() -> ImageSet:
    """The 100 grey faces of LFW that scikit-image carries, cut to 24 x 24 pixels; every fifth is held out."""
    from skimage.data import lfw_subset

    cut = lfw_subset()[:FEW_FACES, :FEW_FACES_SIDE, :FEW_FACES_SIDE]  # the second hundred are no faces
    images = np.round(cut * 255).astype(np.uint8)[..., None]
    held = np.arange(len(images)) % 5 == 4
    return ImageSet("LFW, 100 faces", images[~held], images[held])

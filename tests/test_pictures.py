"""A person's own images: every kind of file, and what is wrong with some."""

import gzip
import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_collapse.datasets import DataError, read_images

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (72, 28, 28), dtype=np.uint8)


def idx(x: np.ndarray) -> bytes:
    return struct.pack(">IIII", 0x803, *x.shape) + x.tobytes()


def png(x: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(x).save(buffer, "PNG")
    return buffer.getvalue()


def packed(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in entries.items():
            archive.writestr(name, raw)
    return buffer.getvalue()


def put(folder: Path, name: str, content) -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict) and name.endswith(".npz"):
        np.savez(path, **content)
    elif isinstance(content, dict):
        for inner, raw in content.items():
            (path / inner).parent.mkdir(parents=True, exist_ok=True)
            (path / inner).write_bytes(raw)
    else:
        np.save(path, content)
    return path


PNGS = {f"{k:03d}.png": png(x) for k, x in enumerate(X)}

SAME = {
    "a.npy": X,
    "b.npy": X.astype(np.int64),
    "c.npy": X[:, None],
    "d.npy": X / 255,
    "e.npz": {"images": X, "weights": np.ones((3, 3, 3))},
    "f.npz": {"pictures": X, "names": np.arange(72)},
    "train-images-idx3-ubyte": idx(X),
    "train-images-idx3-ubyte.gz": gzip.compress(idx(X)),
    "pictures.zip": packed(PNGS | {"readme.txt": b"hello"}),
    "pictures": PNGS | {"notes.txt": b"hello"},
}


@pytest.mark.parametrize("name", SAME)
def test_every_kind_of_file_gives_the_same_images(tmp_path, name):
    found = read_images(put(tmp_path, name, SAME[name]))
    assert len(found.images) == 60 and len(found.held_out) == 12 and found.labels is None
    assert (found.held_out == X[5::6]).all() and found.images.dtype == np.uint8
    assert found.card()["name"] == name and str(tmp_path) not in str(found.card())


def test_colours_turn_grey_and_other_sizes_are_cut_and_resized(tmp_path):
    wide = np.zeros((72, 40, 80, 3), dtype=np.uint8)
    wide[:, :, :20] = wide[:, :, 60:] = 255  # what lies beside the middle square
    assert (read_images(put(tmp_path, "a.npy", wide)).images == 0).all()
    tiny = np.full((72, 8, 8), 7, dtype=np.uint8)
    assert read_images(put(tmp_path, "b.npy", tiny)).images.shape == (60, 8, 8)
    large = {f"{k}.jpg": png(np.full((300, 500), 90, dtype=np.uint8)) for k in range(60)}
    assert (read_images(put(tmp_path, "c", large)).images == 90).all()


def test_labels_come_from_an_array_or_from_folders(tmp_path):
    found = read_images(put(tmp_path, "a.npz", {"images": X, "labels": np.arange(72) % 3}))
    assert (found.labels == (np.arange(72) % 3)[np.arange(72) % 6 != 5]).all() and len(found.held_out_labels) == 12
    sorted_by = {f"{'cats' if k < 36 else 'dogs'}/{name}": raw for k, (name, raw) in enumerate(PNGS.items())}
    found = read_images(put(tmp_path, "b.zip", packed(sorted_by)))
    assert (found.labels[:30] == 0).all() and (found.labels[30:] == 1).all()


BOMB = packed({f"{k}.png": b"\0" * 10_000_000 for k in range(3)})
BAD = {
    "a.npy: shape (72, 28) is not (images, rows, columns)": ("a.npy", X[:, :, 0]),
    "a.npy: shape (0, 28, 28, 1) is not": ("a.npy", X[:0]),
    "a.npy: pixels of type <U1 are no numbers": ("a.npy", np.full((72, 4, 4), "a")),
    "a.npy: pixels from 0 to 300; int64 must lie in 0 to 255": ("a.npy", np.where(X == 0, 300, 0)),
    "a.npy: pixels from -1 to 1; float64 must lie in 0 to 1": ("a.npy", X / 127.5 - 1),
    "a.npy: pixels from nan to nan": ("a.npy", np.full((72, 28, 28), np.nan)),
    "a.npy has 59 images, fewer than the 60 that are needed": ("a.npy", X[:59]),
    "a.npy cannot be read as .npy": ("a.npy", b"no array"),
    "a.npz has 70 labels for 72 images": ("a.npz", {"images": X, "labels": np.arange(70)}),
    "a.npz: labels of shape (72, 2) are not one for each image": ("a.npz", {"images": X, "labels": np.ones((72, 2))}),
    "a.npz holds a, b: name the array of images 'images'": ("a.npz", {"a": X, "b": X}),
    "a-idx is truncated or too long: 56447 bytes of pixels, not 56448": ("a-idx", idx(X)[:-1]),
    "a-idx.gz cannot be read as idx": ("a-idx.gz", gzip.compress(idx(X))[:500]),
    "a-idx cannot be read as idx": ("a-idx", idx(X)[:9]),
    "a.zip cannot be read as .zip": ("a.zip", b"PK\x03\x04 cut off"),
    "a.zip holds no pictures": ("a.zip", packed({"a.txt": b"words"})),
    "a.zip: 007.png cannot be read as a picture": ("a.zip", packed(PNGS | {"007.png": b"no picture"})),
    "a.zip: the name '../evil.png' points outside the archive": ("a.zip", packed(PNGS | {"../evil.png": b""})),
    "a.zip: the name '/etc/evil.png' points outside the archive": ("a.zip", packed({"/etc/evil.png": b""})),
    "bytes; refusing to": ("a.zip", BOMB),
    "a-idx.gz would unpack from 4,": ("a-idx.gz", gzip.compress(idx(np.zeros((2000, 48, 48), dtype=np.uint8)))),
    "bytes; refusing": ("a-idx", struct.pack(">IIII", 0x803, 2**31, 28, 28)),
    "a.npy holds 200,001 images, more than 200,000": ("a.npy", np.zeros((200_001, 1, 1), dtype=np.uint8)),
    "a.txt: images come as .npy, .npz, idx, idx.gz, a folder or a .zip": ("a.txt", b"words"),
    "a.txt: images come": ("a.txt", b""),
}


@pytest.mark.parametrize("message", BAD)
def test_images_that_cannot_be_used_are_named_in_one_line(tmp_path, message):
    path = put(tmp_path, *BAD[message])
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_images(path)
    said = str(error.value)
    assert "\n" not in said and str(tmp_path) not in said and len(said) < 200
    assert {file.name for file in tmp_path.iterdir()} == {path.name}  # nothing was unpacked


def test_a_picture_of_too_many_pixels(tmp_path):
    huge = png(np.zeros((8000, 8000), dtype=np.uint8))
    with pytest.raises(DataError, match=r"pictures: huge\.png has 8000 x 8000 pixels, too many"):
        read_images(put(tmp_path, "pictures", PNGS | {"huge.png": huge}))


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="nowhere: No such file or directory"):
        read_images(tmp_path / "nowhere")


def test_colours_are_kept_where_they_are_wanted(tmp_path):
    coloured = RNG.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    data = read_images(put(tmp_path, "mine.npy", coloured), 32, colours=True)
    assert data.images.shape == (50, 32, 32, 3) and (data.images[0] == coloured[0]).all() and not data.done
    grey = read_images(put(tmp_path, "grey.npy", X), 32, colours=True)
    assert grey.images.shape == (60, 32, 32, 1)
    assert grey.done == ("72 pictures of fewer than 32 x 32 pixels were enlarged",)
    assert grey.card()["done"] == list(grey.done)


def test_one_picture_in_colour_among_grey_ones_makes_all_of_them_coloured(tmp_path):
    entries = {f"{k:02d}.png": png(RNG.integers(0, 256, (32, 32), dtype=np.uint8)) for k in range(60)}
    entries["99.png"] = png(np.full((32, 32, 3), (200, 10, 10), dtype=np.uint8))
    (tmp_path / "mixed.zip").write_bytes(packed(entries))
    data = read_images(tmp_path / "mixed.zip", 32, colours=True)
    assert data.images.shape[1:] == (32, 32, 3) and data.done == ("60 grey pictures among coloured ones",)
    everything = np.concatenate([data.images, data.held_out])
    red = (everything == (200, 10, 10)).all(axis=(1, 2, 3))
    level = (everything == everything[..., :1]).all(axis=(1, 2, 3))
    assert red.sum() == 1 and level.sum() == 60


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    ramp = np.linspace(0, 65535, 28 * 28).reshape(28, 28).astype(np.uint16)
    (tmp_path / "long.zip").write_bytes(packed({f"{k}.png": png(ramp) for k in range(60)}))
    assert read_images(tmp_path / "long.zip").images[0] == pytest.approx(ramp / 257, abs=0.51)


def test_pictures_are_turned_the_right_way_up(tmp_path):
    upright = np.zeros((32, 32, 3), dtype=np.uint8)
    upright[:8] = 255
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    Image.fromarray(upright[::-1, ::-1]).save(buffer, "PNG", exif=exif)
    (tmp_path / "turned.zip").write_bytes(packed({f"{k}.png": buffer.getvalue() for k in range(60)}))
    assert (read_images(tmp_path / "turned.zip", 32, colours=True).images[0, ..., 0] == upright[..., 0]).all()


def test_what_a_macintosh_adds_to_a_zip_is_passed_over(tmp_path):
    entries = {f"{k}.png": png(X[k]) for k in range(60)} | {"__MACOSX/._0.png": b"resource fork"}
    (tmp_path / "mac.zip").write_bytes(packed(entries))
    assert len(read_images(tmp_path / "mac.zip").images) == 50

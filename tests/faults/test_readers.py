"""Readers of a person's files under damaged and hostile ones: one clear line, and never a crash, a hang or a pickle.

`make fuzz` runs the same with many more examples and prints how many were read and how many refused.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from model_collapse.datasets import DataError, read_images, read_points, read_text
from model_collapse.provenance import ProvenanceError, read_ledger
from model_collapse.warning import WatchError, read_set

EXAMPLES = int(os.environ.get("MODEL_COLLAPSE_FUZZ", "40"))
MEMORY = 600_000_000  # that reading files of some kilobytes may take in all
PICTURES, SIDE = 60, 6


def a_picture(k: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(k).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def an_array(**named: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **named) if len(named) > 1 else np.save(stream, *named.values())
    return stream.getvalue()


def a_zip(name: str = "{k}.png") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(PICTURES):
            archive.writestr(name.format(k=k), a_picture(k))
    return stream.getvalue()


def whole_files() -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """By the name of a file that can be read: its bytes, and what reads it."""
    rng = np.random.default_rng(0)
    images, points = rng.integers(0, 256, (PICTURES, SIDE, SIDE), dtype=np.uint8), rng.normal(size=(80, 2))
    idx = struct.pack(">IIII", 0x803, PICTURES, SIDE, SIDE) + images.tobytes()
    table = "\n".join("{:.3f},{:.3f}".format(*row) for row in points).encode()
    text = b"the quick brown fox jumps over the lazy dog\n" * 60
    ledger = json.dumps({"format": "model-collapse-ledger", "version": 1, "items": []}).encode()
    return {
        "images.npy": (an_array(images=images), read_images),
        "images.npz": (an_array(images=images, labels=np.arange(PICTURES) % 3), read_images),
        "images.idx": (idx, read_images),
        "images.idx.gz": (gzip.compress(idx, mtime=0), read_images),
        "images.zip": (a_zip(), read_images),
        "points.csv": (b"x,y\n" + table, read_points),
        "points.npy": (an_array(points=points), read_points),
        "points.npz": (an_array(points=points, other=points[:, 0]), read_points),
        "text.txt": (text, read_text),
        "set.txt": (text * 30, read_set),
        "set.csv": (b"x,y\n" + table, read_set),
        "ledger.json": (ledger, read_ledger),
    }


FILES = whole_files()
TOLD: dict[str, Counter] = {name: Counter() for name in FILES}


@contextmanager
def little_memory(name: str) -> Iterator[None]:
    """What is done inside may take so much memory and no more, however much the tests before it took."""
    status, forget = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not forget.exists():  # elsewhere than on Linux the highest memory so far cannot be forgotten
        yield
        return

    def kilobytes(what: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(what))

    forget.write_text("5")
    before = kilobytes("VmRSS")
    yield
    taken = 1024 * (kilobytes("VmHWM") - before)
    assert taken < MEMORY, f"{name}: {taken:,} bytes"


@st.composite
def damage(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file that was cut, changed in places, filled with something else, or doubled; or any bytes at all."""
    kind = draw(st.sampled_from(["cut", "flip", "insert", "fill", "double", "any"]))
    at = draw(st.integers(0, len(whole)))
    if kind == "cut":
        return whole[:at]
    if kind == "flip":
        found = bytearray(whole)
        for _ in range(draw(st.integers(1, 8))):
            found[draw(st.integers(0, len(whole) - 1))] ^= draw(st.integers(1, 255))
        return bytes(found)
    if kind == "insert":
        return whole[:at] + draw(st.binary(min_size=1, max_size=40)) + whole[at:]
    if kind == "fill":
        end = min(len(whole), at + draw(st.integers(1, 64)))
        return whole[:at] + draw(st.sampled_from([b"\0", b"\xff", b"9", b","])) * (end - at) + whole[end:]
    return whole * 2 if kind == "double" else draw(st.binary(max_size=400))


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused_in_one_line(name: str, tmp_path_factory) -> None:
    whole, reader = FILES[name]
    path = tmp_path_factory.mktemp("files") / name
    path.write_bytes(whole)
    if reader is not read_ledger:
        reader(path)  # what is damaged below can be read as it is

    @settings(
        max_examples=EXAMPLES, deadline=10_000, database=None, derandomize=EXAMPLES <= 100,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(damage(whole))
    def hold(raw: bytes) -> None:
        path.write_bytes(raw)
        try:
            reader(path)
            TOLD[name]["read"] += 1
        except (DataError, WatchError, ProvenanceError) as error:
            assert len(str(error).splitlines()) == 1 and name in str(error), str(error)
            TOLD[name]["refused"] += 1
        except BaseException:
            TOLD[name]["lost"] += 1
            raise

    try:
        with little_memory(name):
            hold()
    finally:
        told = TOLD[name]
        counts = ", ".join(f"{told[what]:,} {what}" for what in ("read", "refused", "lost"))
        print(f"{name}: {told.total():,} tried, {counts}")
    assert TOLD[name]["refused"] > 0


def spoil(whole: bytes, offset: int, new: bytes) -> bytes:
    """A zip of which some bytes, counted from the first header of its directory, are others."""
    start = whole.index(b"PK\1\2") + offset
    return whole[:start] + new + whole[start + len(new) :]


@pytest.mark.parametrize("name", ["images.npz", "images.zip", "points.npz"])
@pytest.mark.parametrize(
    ("offset", "new"), [(6, b"\x6d"), (8, b"\1"), (10, b"\x0e"), (10, b"\x0c"), (10, b"\x55")],
    ids=["version", "encrypted", "lzma", "bzip2", "unknown"],
)  # fmt: skip
def test_a_zip_that_needs_what_is_not_there_is_refused(tmp_path: Path, name: str, offset: int, new: bytes) -> None:
    whole, reader = FILES[name]
    (tmp_path / name).write_bytes(spoil(whole, offset, new))
    with pytest.raises(DataError, match=name):
        reader(tmp_path / name)


def test_an_array_with_the_header_of_python_2_is_read(tmp_path: Path) -> None:
    whole = FILES["points.npy"][0]
    old = whole.replace(b"80, 2), }  ", b"80L, 2L), }", 1)
    assert old != whole and len(old) == len(whole)
    for name, raw in (("new.npy", whole), ("old.npy", old)):
        (tmp_path / name).write_bytes(raw)
    assert (read_points(tmp_path / "old.npy").x == read_points(tmp_path / "new.npy").x).all()


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    whole = bytearray(FILES["images.zip"][0])
    whole[6:8], whole[30] = b"\0\x08", 0xEB  # of the first file: names are UTF-8, and this one is not
    (tmp_path / "images.zip").write_bytes(whole)
    with pytest.raises(DataError, match=r"images\.zip cannot be read as \.zip"):
        read_images(tmp_path / "images.zip")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@settings(max_examples=EXAMPLES, deadline=10_000, database=None, derandomize=EXAMPLES <= 100)
@given(NAMES, st.sampled_from(["{}.png", "../{}.png", "/{}.png", "a/../../{}.png", "..\\{}.png", "C:\\{}.png"]))
def test_names_in_a_zip_lead_nowhere(tmp_path_factory, name: str, pattern: str) -> None:
    folder = tmp_path_factory.mktemp("zip")
    path = folder / "inside" / "pictures.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(PICTURES):
            archive.writestr(pattern.format(f"{name}{k}"), a_picture(k))
    try:
        assert len(read_images(path).images) > 0
    except DataError as error:
        assert len(str(error).splitlines()) == 1
    assert [entry.name for entry in folder.rglob("*")] == ["inside", "pictures.zip"]


@pytest.mark.parametrize(("name", "reader"), [("bomb.npz", read_images), ("bomb.npz", read_points)])
def test_an_array_that_would_unpack_to_gigabytes_is_refused(tmp_path: Path, name: str, reader) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 33, 1)})
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points.npy", header.getvalue() + bytes(30_000_000))
    with pytest.raises(DataError, match=f"{name} would unpack from"):
        reader(tmp_path / name)


class Pickled:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize(("name", "reader"), [(n, r) for n, (_, r) in FILES.items() if n.endswith((".npy", ".npz"))])
def test_no_pickle_is_ever_loaded(tmp_path: Path, monkeypatch, name: str, reader) -> None:
    monkeypatch.chdir(tmp_path)
    array = np.array([Pickled()] * PICTURES, dtype=object)
    save = np.save if name.endswith(".npy") else np.savez
    save(tmp_path / name, array, allow_pickle=True)
    with pytest.raises(DataError):
        reader(tmp_path / name)
    assert not (tmp_path / "unpickled").exists()

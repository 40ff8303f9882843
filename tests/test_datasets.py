"""Data that ship with the dependencies, and their cards."""

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import no_data

from model_collapse import datasets
from model_collapse.datasets import corpora


def test_the_language_reference_is_on_every_machine():
    text = datasets.language_reference()
    counts = datasets.word_counts(text.text)
    assert sum(counts.values()) > 50_000 and counts["the"] > 1000
    assert sum(count == 1 for count in counts.values()) > 500


def test_a_card_has_a_checksum_and_no_path(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("one two two", encoding="utf-8")
    card = datasets.read_text(path).card()
    assert card["name"] == "mine.txt" and card["bytes"] == 11 and len(card["sha256"]) == 64
    assert str(tmp_path) not in str(card)


def test_a_byte_order_mark_is_no_word(tmp_path):
    path = tmp_path / "bom.txt"
    path.write_bytes("\ufeffword".encode())
    assert datasets.word_counts(datasets.read_text(path).text) == {"word": 1}


def points_file(folder, name: str, content) -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content)
    return path


X = np.arange(12.0).reshape(6, 2) ** 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "x,y\n" + "\n".join(f"{a},{b}" for a, b in X)),
        ("b.csv", "\n".join(f"{a};{b}" for a, b in X) + "\n\n"),
        ("c.csv", "\ufeff" + "\n".join(f"{a} {b}" for a, b in X)),
        ("d.csv", "\n".join(f"{a}, {b}" for a, b in X)),
        ("d2.csv", '\n"x","y"\n' + "\n".join(f'"{a}","{b}"' for a, b in X)),
        ("d3.csv", "\n".join(f"  {a}   {b} " for a, b in X)),
        ("e.npy", X),
        ("f.npy", X.astype(int)),
        ("g.npz", {"points": X, "others": np.ones((3, 3))}),
        ("h.npz", {"labels": np.arange(6), "coordinates": X}),
    ],
)
def test_points_are_read_from_every_kind_of_file(tmp_path, name, content):
    found = datasets.read_points(points_file(tmp_path, name, content))
    assert (found.x == X).all()
    assert found.card() == datasets.PointSet(name, X).card() and str(tmp_path) not in str(found.card())


def test_one_coordinate_is_enough(tmp_path):
    assert datasets.read_points(points_file(tmp_path, "a.csv", "height\n1.5\n2\n")).x.tolist() == [[1.5], [2.0]]


BAD_POINTS = {
    "a.csv: line 3, column 2: 'two' is not a number": ("a.csv", "x,y\n1,2\n3,two\n"),
    "a.csv: line 2, column 2: '' is not a number": ("a.csv", "1,2\n3,\n"),
    "a.csv: line 3 has 1 values, line 1 has 2": ("a.csv", "1,2\n3,4\n5\n"),
    "a.csv: point 2, coordinate 1 is nan": ("a.csv", "1,2\nnan,4\n"),
    "b.npy: point 1, coordinate 2 is inf": ("b.npy", np.array([[0, np.inf], [1, 2]])),
    "a.csv holds no points": ("a.csv", "x,y\n"),
    "a.csv is not UTF-8": ("a.csv", "x;y\n1;2\n".encode("utf-16")),
    "b.npy: shape (6,) is not (points, dimensions) with 1 to 10": ("b.npy", X[:, 0]),
    "b.npy: shape (2, 2, 2) is not": ("b.npy", np.zeros((2, 2, 2))),
    "b.npy: shape (3, 11) is not": ("b.npy", np.zeros((3, 11))),
    "b.npy: values of type <U1 are no real numbers": ("b.npy", np.array([["a", "b"]])),
    "b.npy: values of type complex128 are no real numbers": ("b.npy", X * 1j),
    "b.npy: coordinate 2 is the same in every point": ("b.npy", np.column_stack([np.arange(4), np.ones(4)])),
    "b.npy cannot be read as .npy": ("b.npy", b"no array"),
    "c.npz cannot be read as .npz": ("c.npz", b"PK\x03\x04 cut off"),
    "b.npy cannot be read as .npy: (": ("b.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': (((  \n"),
    "a.csv: line 2, column 2: 'open' is not": (
        "a.csv",
        '1,2\n3,"open\n4,5\n',
    ),
    "is not a number": ("a.csv", "1,2\n3," + "x" * 200_000 + "\n"),
    "c.npz holds a, b: name the array of points 'points'": ("c.npz", {"a": X, "b": X}),
    "d.txt: points come as .csv, .npy or .npz, not as .txt": ("d.txt", "1,2\n"),
}


@pytest.mark.parametrize("message", BAD_POINTS)
def test_points_that_cannot_be_used_are_named_in_one_line(tmp_path, message):
    path = points_file(tmp_path, *BAD_POINTS[message])
    starts = "" if message == "is not a number" else "^"
    with pytest.raises(datasets.DataError, match=starts + re.escape(message)) as error:
        datasets.read_points(path)
    assert "\n" not in str(error.value) and str(tmp_path) not in str(error.value) and len(str(error.value)) < 200


def test_points_that_are_not_there_and_pickles(tmp_path):
    with pytest.raises(datasets.DataError, match=r"a\.csv: No such file"):
        datasets.read_points(tmp_path / "a.csv")
    np.save(tmp_path / "b.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(datasets.DataError, match=r"b\.npy cannot be read as \.npy: Object arrays cannot be loaded"):
        datasets.read_points(tmp_path / "b.npy")


def test_points_are_found_beside_what_cannot_be_read(tmp_path):
    np.savez(tmp_path / "a.npz", points=X, notes=np.array([{}], dtype=object))
    assert (datasets.read_points(tmp_path / "a.npz").x == X).all()


def test_a_damaged_compressed_archive_is_named(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", points=np.random.default_rng(0).standard_normal((500, 2)))
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[200:300] = bytes(100)
    (tmp_path / "a.npz").write_bytes(raw)
    with pytest.raises(datasets.DataError, match=r"a\.npz cannot be read as \.npz"):
        datasets.read_points(tmp_path / "a.npz")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one little text, and what it was asked for."""
    asked = {}
    rows = ["", " = Towers = \n", "", " Some have bells . \n"]
    pd.DataFrame({"text": rows}).to_parquet(tmp_path / "rows.parquet")

    def download(repository, name, **options):
        asked.update(options, repository=repository, name=name)
        return str(tmp_path / "rows.parquet")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    corpora._from_hub.cache_clear()
    yield asked
    corpora._from_hub.cache_clear()


def test_wikitext_from_the_hub_is_the_published_text_or_refused(hub, monkeypatch):
    published = " \n = Towers = \n \n Some have bells . \n"
    with pytest.raises(datasets.DataError, match="not the published text of validation"):
        datasets.wikitext("valid")
    monkeypatch.setitem(corpora.PUBLISHED, "validation", hashlib.sha256(published.encode()).hexdigest())
    assert datasets.wikitext("valid").text == published
    assert hub["revision"] == corpora.REVISION and hub["name"].startswith("wikitext-2-v1/validation")


@pytest.mark.parametrize("split", ["valid", "test"])
def test_wikitext_at_hand_is_the_published_text(split):
    if not os.environ.get("MODEL_COLLAPSE_DATA"):
        no_data("WikiText-2")
    text = datasets.wikitext(split).text
    assert hashlib.sha256(text.encode()).hexdigest() == corpora.PUBLISHED[corpora.SPLITS[split]]

"""Every kind of file that a run reads back, cut short, with a flipped bit, empty, or another program's.

Each is refused by a line that names it, or what was damaged says nothing (the date of an entry in a zip): nothing is
ever half used.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import no_data

from model_collapse import checkpoints, datasets, gmm, vae
from model_collapse.archive import ArchiveError, load_record
from model_collapse.datasets import DataError
from model_collapse.datasets.fetching import at_hand_only
from model_collapse.features import load_classifier, load_encoder
from model_collapse.features.archived import features_root
from model_collapse.llm.base import _opt_tokenizer, base_root, load_base
from model_collapse.theory import gaussian

FLIPS = 2 * int(os.environ.get("MODEL_COLLAPSE_FAULTS", "1"))  # of each file
REFUSALS = (ArchiveError, DataError)
COUNT: Counter = Counter()


@pytest.fixture(scope="module", autouse=True)
def told():
    yield
    said = ", ".join(f"{COUNT[word]} {word}" for word in ("damaged", "refused", "without effect", "half used"))
    print(f"\nfiles: {said}", flush=True)


class Stop(Exception):
    pass


def stopped(family, study: str, g: int) -> Callable[[Path], None]:
    """A run that stopped in generation `g`, with what it left in a folder."""

    def make(folder: Path) -> None:
        def on(phase: str, at: int) -> None:
            if phase == "measure" and at == g:
                raise Stop

        with pytest.raises(Stop):
            again(family, study, on=on)(folder)

    return make


def stopped_within_a_fit(folder: Path) -> None:
    """A run of the VAE that stopped after the first epoch of generation 1, whose network lies in a file of its own.

    So does that of generation 0; the one that other runs share is not read by this one any more.
    """

    def keep(path: Path, *given) -> None:
        checkpoints.keep(path, *given)
        if "0001" in path.name:
            raise Stop

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr("model_collapse.vae.training.keep", keep)
        again(vae, "stream-replace")(folder)
    assert list(folder.rglob("fit-0001*")) and list(folder.rglob("first-0000*"))
    shutil.rmtree(folder / "vae")


def a_shared_network(folder: Path) -> None:
    """The network of generation 0 that a run of the VAE left for others."""
    again(vae, "stream-replace")(folder)
    shutil.rmtree(folder / "results")
    assert [path.parent.name for path in folder.rglob("first-*")] == 2 * ["vae"]


def again(family, study: str, **options) -> Callable[[Path], object]:
    """What the same run comes to when it goes on from what lies in a folder."""

    def read(folder: Path) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MODEL_COLLAPSE_CACHE", str(folder))
            scale = {"chains": 2, "generations": 3, "checkpoint": 0, "progress": False, "save": folder / "results"}
            record = family.run(study, "smoke", **scale, **options)
        shown = {name: x for name, x in record.manifest.items() if name not in ("seconds", "digest", "files")}
        return shown, record.statistics.to_csv(), record.metrics.to_csv()

    return read


def a_record(folder: Path) -> None:
    gmm.run("blob-replace", "smoke", save=folder, progress=False)


def read_record(folder: Path) -> object:
    record = load_record(folder / "gmm/smoke-blob-replace")
    kept = {name: x.tolist() for name, x in record.samples("kept").items()}
    return record.manifest, record.statistics.to_csv(), record.metrics.to_csv(), kept


def the_base(folder: Path) -> None:
    shutil.copytree(base_root() / "laptop", folder / "laptop")


def read_base(folder: Path) -> object:
    model, tokenizer = load_base(str(folder / "laptop"))
    return [x.double().sum().item() for x in model.parameters()], tokenizer("a tower of stone")["input_ids"]


def the_networks(folder: Path) -> None:
    for stem in ("digits-0", "faces-1"):
        for suffix in ("json", "safetensors"):
            shutil.copy(features_root() / f"{stem}.{suffix}", folder)


def read_networks(folder: Path) -> object:
    with torch.no_grad():
        found = [load_classifier("digits", 0, folder), load_encoder(1, folder)]
        return [(card, [x.double().sum().item() for x in network.parameters()]) for network, card in found]


PLACES = {
    "record": (a_record, read_record),
    "state": (stopped(gaussian, "replace", 2), again(gaussian, "replace")),
    "state of all parts": (stopped(gaussian, "accumulate", 2), again(gaussian, "accumulate")),
    "state within a fit": (stopped_within_a_fit, again(vae, "stream-replace")),
    "network that runs share": (a_shared_network, again(vae, "stream-replace")),
    "base": (the_base, read_base),
    "networks that measure": (the_networks, read_networks),
}


def damages(content: bytes, draw: random.Random):
    """(what was done, what the file then holds)"""
    yield "empty", b""
    yield "foreign", b"\x89PNG\r\n\x1a\n" + bytes(draw.randbytes(200))
    yield "truncated", content[: draw.randrange(1, len(content))]
    directory = content.find(b"PK\x01\x02")  # of a zip, which an .npz is
    if directory >= 0:
        for what, at, value in (("compressed otherwise", 10, 99), ("encrypted", 8, 1)):
            yield what, content[: directory + at] + bytes([value]) + content[directory + at + 1 :]
    for _ in range(FLIPS):
        at, bit = draw.randrange(len(content)), draw.randrange(8)
        yield f"bit {bit} of byte {at}", content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


@pytest.mark.parametrize("place", PLACES)
def test_a_damaged_file_is_named_or_makes_no_difference(place, tmp_path):
    make, read = PLACES[place]
    whole = tmp_path / "whole"
    whole.mkdir()
    make(whole)
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file() and p.name != "lock")
    assert files
    shutil.copytree(whole, tmp_path / "read")
    expected = read(tmp_path / "read")
    draw = random.Random(f"{place} {FLIPS}")
    for name in files:
        for what, content in damages((whole / name).read_bytes(), draw):
            copy = tmp_path / "copy"
            shutil.copytree(whole, copy)
            (copy / name).write_bytes(content)
            COUNT["damaged"] += 1
            try:
                found = read(copy)
            except REFUSALS as error:
                COUNT["refused"] += 1
                said = str(error)
                parts = filter(None, (name.name, name.parent.name, name.stem))
                assert "\n" not in said and any(part in said for part in parts), said
            else:
                COUNT["without effect" if found == expected else "half used"] += 1
                assert found == expected, f"{name}: {what} was used"
                assert what not in ("empty", "foreign", "truncated"), f"{name}: {what} was not noticed"
            shutil.rmtree(copy)


DATA = {
    "wikitext-2/wiki.test.tokens": lambda: datasets.wikitext("test").card(),
    "MNIST/raw/t10k-images-idx3-ubyte": lambda: datasets.mnist().card(),
    "celeba10k/celeba10k_89x109.zip": lambda: datasets.faces().card(),
    "books/books.txt.xz": lambda: {"sha256": [len(text) for text in datasets.books()]},
    "opt-bpe/gpt2-vocab.json": lambda: {"sha256": _opt_tokenizer().get_vocab()},
    "opt-bpe/gpt2-merges.txt": lambda: {"sha256": _opt_tokenizer()("blackbirds and jackdaws")["input_ids"]},
}


@pytest.mark.parametrize("name", DATA)
def test_a_damaged_data_set_is_refused_or_another_one(name, tmp_path, monkeypatch):
    """A plain text can be cut unseen; then it has another checksum, which a run's identity holds."""
    home = Path(os.environ.get("MODEL_COLLAPSE_DATA") or "nowhere")
    if not (home / name).is_file():
        no_data(name)
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    expected = DATA[name]()["sha256"]
    shutil.copytree((home / name).parent, (tmp_path / name).parent, copy_function=os.symlink)
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path))
    content = (home / name).read_bytes()
    cut = max(len(content) // 3, 1)
    for damaged in (b"", b"\x89PNG\r\n\x1a\n" + content[:99], content[:cut]):
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes(damaged)
        try:
            with at_hand_only():
                found = DATA[name]()["sha256"]
        except REFUSALS as error:
            said = str(error)
            assert "\n" not in said and any(part in said for part in name.split("/")), said
        else:
            assert found != expected

"""Where the fixed networks lie, how they are made, and how they are read."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from .. import datasets, device
from ..archive import ArchiveError
from ..archive.files import file_digest, read_sealed, write_sealed
from ..places import CHECKOUT
from .classifier import EPOCHS, Classifier, train_classifier
from .encoder import ENCODER_EPOCHS, Encoder, train_encoder

__all__ = ["NAMES", "features_root", "load_classifier", "load_encoder", "make"]

NAMES = ("digits", "mnist", "faces")


def features_root() -> Path:
    """Where the archived networks lie: ``MODEL_COLLAPSE_FEATURES``, or ``data/features`` of the checkout."""
    given = os.environ.get("MODEL_COLLAPSE_FEATURES")
    return Path(given) if given else CHECKOUT / "data" / "features"


def load_classifier(name: str, seed: int = 0, root: Path | None = None) -> tuple[Classifier, dict]:
    """An archived classifier and its card.

    Parameters
    ----------
    name : {"digits", "mnist"}

    Raises
    ------
    ArchiveError
        Where there is none, or its weights are not those of the card.
    """
    card, arrays = _read(f"{name}-{seed}", "classifier", root)
    network = Classifier(card["side"], card["classes"])
    network.load_state_dict(arrays)
    return network.eval(), card


def load_encoder(seed: int = 0, root: Path | None = None) -> tuple[Encoder, dict]:
    """The archived encoder of faces of that seed, and its card; raises `ArchiveError` as `load_classifier` does."""
    card, arrays = _read(f"faces-{seed}", "encoder", root)
    network = Encoder()
    network.load_state_dict(arrays)
    return network.eval(), card


def _read(stem: str, what: str, root: Path | None) -> tuple[dict, dict[str, torch.Tensor]]:
    folder = root or features_root()
    path = folder / f"{stem}.safetensors"
    try:
        card = read_sealed(folder / f"{stem}.json")
        whole = file_digest(path) == card["sha256"]
    except (OSError, ArchiveError) as error:
        raise ArchiveError(f"no {what} {stem} at {folder} ({error})") from None
    if not whole:
        raise ArchiveError(f"{what} {stem} at {folder} is not the one of its card")
    return card, {key: x.float() if x.is_floating_point() else x for key, x in load_file(path).items()}


def make(name: str, seed: int, root: Path) -> dict:
    """Train one of them, leave it there, and return its card."""
    if name == "faces":
        data = datasets.faces()
        network, found = train_encoder(data, seed)
        about = {"epochs": ENCODER_EPOCHS, "held_out_retrieval": found}
    else:
        data = {"digits": datasets.digits, "mnist": datasets.mnist}[name]()
        epochs = EPOCHS * (10 if name == "digits" else 1)
        network, right = train_classifier(data, seed, epochs)
        about = {"classes": network.head.out_features, "epochs": epochs, "held_out_accuracy": right}
    return _leave(
        network, f"{name}-{seed}", root, {"data": data.card(), "side": data.images.shape[1], "seed": seed} | about
    )


def _leave(network: nn.Module, stem: str, root: Path, card: dict) -> dict:
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{stem}.safetensors"
    halved = {key: x.half() if x.is_floating_point() else x for key, x in network.state_dict().items()}
    save_file({key: x.contiguous() for key, x in halved.items()}, path)
    card |= {"sha256": file_digest(path), "machine": device.machine(torch.get_num_threads())}
    write_sealed(root / f"{stem}.json", card)
    return card

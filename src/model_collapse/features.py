"""The fixed networks that image measures look through: small classifiers of digits, trained once and archived.

``data/features/`` holds, for each, its weights (safetensors, half precision) and a card: what it was trained on, for
how long, with which seed, how well it does on held-out images, and the SHA-256 of the weights. To make one again:

    python -m model_collapse.features mnist --seed 0
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from . import datasets, device
from .archive import ArchiveError
from .archive.files import file_digest, write_json

__all__ = ["Classifier", "features_root", "load_classifier", "train_classifier"]

FEATURES = 64
EPOCHS, BATCH, RATE = 6, 128, 1e-3
CHUNK = 2000  # images that are looked at together


class Classifier(nn.Module):
    """Two convolutions and two linear layers; the layer before the last gives 64 features.

    Parameters
    ----------
    side : int
        Pixels along a side of the images, a multiple of four.
    classes : int
    """

    def __init__(self, side: int, classes: int = 10):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (side // 4) ** 2, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (images, classes) of images (images, 1, side, side) in [0, 1]."""
        return self.head(self.body(x))

    @torch.no_grad()
    def look(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Features (images, 64) and class probabilities (images, classes) of images (images, side, side) in [0, 1]."""
        features, probabilities = [], []
        for some in images.split(CHUNK):
            seen = self.body(some.unsqueeze(1).float())
            features.append(seen.cpu().numpy())
            probabilities.append(self.head(seen).softmax(1).cpu().numpy())
        return np.concatenate(features), np.concatenate(probabilities)

    def classes_of(self, images: np.ndarray) -> np.ndarray:
        """The likeliest class of each image (images, side, side), 8 bit."""
        return self.look(torch.from_numpy(images).float() / 255)[1].argmax(axis=1)


@torch.enable_grad()
def train_classifier(
    data: datasets.ImageSet, seed: int, epochs: int = EPOCHS, classes: int | None = None
) -> tuple[Classifier, float]:
    """A classifier of the labelled images, on the processor in single precision, and its accuracy on those held out.

    Without `classes` there are as many as the labels name.
    """
    rng = np.random.default_rng(seed)
    with device.seeded(rng):
        network = Classifier(data.images.shape[1], classes or int(data.labels.max()) + 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        order = rng.permutation(len(data.images))
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            x = torch.from_numpy(data.images[rows]).float().unsqueeze(1) / 255
            loss = F.cross_entropy(network(x), torch.from_numpy(data.labels[rows]).long())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        schedule.step()
    network = _rounded(network).eval()
    return network, accuracy(network, data.held_out, data.held_out_labels)


def accuracy(network: Classifier, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images (images, side, side), 8 bit, whose class is right."""
    return float((network.classes_of(images) == labels).mean())


def features_root() -> Path:
    """Where the archived networks lie: ``MODEL_COLLAPSE_FEATURES``, or ``data/features`` of the checkout."""
    given = os.environ.get("MODEL_COLLAPSE_FEATURES")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "data" / "features"


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
    folder = root or features_root()
    stem = f"{name}-{seed}"
    try:
        card = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        whole = file_digest(folder / f"{stem}.safetensors") == card["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise ArchiveError(f"no classifier {stem} at {folder} ({error})") from None
    if not whole:
        raise ArchiveError(f"classifier {stem} at {folder} is not the one of its card")
    network = Classifier(card["side"], card["classes"])
    network.load_state_dict({key: x.float() for key, x in load_file(folder / f"{stem}.safetensors").items()})
    return network.eval(), card


def _rounded(network: Classifier) -> Classifier:
    """The network with the weights that half precision keeps, so that its accuracy is that of the archived file."""
    network.load_state_dict({key: x.half().float() for key, x in network.state_dict().items()})
    return network


def _archive(name: str, seed: int, root: Path) -> dict:
    data = {"digits": datasets.digits, "mnist": datasets.mnist}[name]()
    epochs = EPOCHS * (10 if name == "digits" else 1)
    network, right = train_classifier(data, seed, epochs)
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{name}-{seed}.safetensors"
    save_file({key: x.half().contiguous() for key, x in network.state_dict().items()}, path)
    card = {
        "data": data.card(),
        "side": data.images.shape[1],
        "classes": network.head.out_features,
        "seed": seed,
        "epochs": epochs,
        "held_out_accuracy": right,
        "sha256": file_digest(path),
        "machine": device.machine(torch.get_num_threads()),
    }
    write_json(root / f"{name}-{seed}.json", card)
    return card


def main() -> None:
    """Train one classifier and archive it."""
    parser = argparse.ArgumentParser(prog="python -m model_collapse.features", description=main.__doc__)
    parser.add_argument("name", choices=["digits", "mnist"])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    card = _archive(given.name, given.seed, features_root())
    print(f"{given.name}-{given.seed}: {100 * card['held_out_accuracy']:.2f} % of held-out images right")


if __name__ == "__main__":
    main()

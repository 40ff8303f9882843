"""A small classifier of digits."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .. import datasets, device

__all__ = ["EPOCHS", "Classifier", "accuracy", "train_classifier"]

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


def _rounded(network: Classifier) -> Classifier:
    """The network with the weights that half precision keeps, so that its accuracy is that of the archived file."""
    network.load_state_dict({key: x.half().float() for key, x in network.state_dict().items()})
    return network

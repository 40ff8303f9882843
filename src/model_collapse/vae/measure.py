"""What a fixed classifier sees in generated images, held against what it sees in human ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from ..archive import Record
from ..datasets import ImageSet
from ..device import Compute
from ..distances import frechet_distance, nearest_distances, precision_recall
from ..features import load_classifier

__all__ = ["ALIVE", "CLASSIFIERS", "NARROW", "SURE", "Eye", "directions", "lost_at"]

SURE = 0.9
ALIVE = 0.01
NARROW = 0.1  # standard deviation, of a prior that has 1
NEIGHBOURS = 5
CLASSIFIERS = {"MNIST": "mnist", "scikit-learn digits": "digits"}  # archived, by what they were trained on


class Eye:
    """A fixed classifier of digits, and the features of human images that the model has not seen.

    Parameters
    ----------
    data : ImageSet
        MNIST or scikit-learn's digits; for a person's own there is no classifier and nothing is measured.
    seed : int
        Of the archived classifier.
    """

    def __init__(self, data: ImageSet, compute: Compute, seed: int = 0):
        name = None if data.own else CLASSIFIERS.get(data.name)
        self.network = load_classifier(name, seed)[0].to(compute.device) if name else None
        if self.network is not None:
            human = torch.from_numpy(data.held_out).to(compute.device).float() / 255
            self.human, _ = self.network.look(human)

    def labels(self, images: torch.Tensor) -> np.ndarray:
        """The class it sees in each image (images, side, side) in [0, 1]."""
        return self.network.look(images)[1].argmax(axis=1)

    def measures(self, images: torch.Tensor) -> dict[str, float]:
        """Of images (images, side, side) in [0, 1]; nothing where there is no classifier.

        ``class_<k>``: share of the images that fall into class k; ``class_entropy`` of this histogram, in bits;
        ``classes_alive``: share of the classes that at least one image in a hundred falls into, ten classes expected in
        equal parts; ``rarest_share``: share of the rarest class; ``unsure_share``: share of images that get less than
        0.9 for every class; ``confidence``: mean of the largest probability; ``frechet``, ``precision``, ``recall`` in
        the classifier's features against human images that were held out; ``nearest``: mean distance to the nearest of
        these.
        """
        if self.network is None:
            return {}
        features, probabilities = self.network.look(images)
        shares = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)
        top = probabilities.max(axis=1)
        few = min(len(features), len(self.human))
        precision, recall = precision_recall(self.human[:few], features[:few], NEIGHBOURS)
        return {f"class_{k}": float(share) for k, share in enumerate(shares)} | {
            "class_entropy": float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum()),
            "classes_alive": float((shares >= ALIVE).mean()),
            "rarest_share": float(shares.min()),
            "unsure_share": float((top < SURE).mean()),
            "confidence": float(top.mean()),
            "frechet": frechet_distance(self.human, features),
            "precision": precision,
            "recall": recall,
            "nearest": float(nearest_distances(features, self.human).mean()),
        }


def directions(latents: np.ndarray) -> np.ndarray:
    """How many directions of the latent space images still fill: principal axes with a spread of `NARROW` or more.

    Parameters
    ----------
    latents : ndarray of shape (generations, images, latents)
        Posterior means; at least two images.

    Returns
    -------
    ndarray of int, shape (generations,)
    """
    centred = latents - latents.mean(axis=1, keepdims=True)
    spreads = np.linalg.svd(centred.astype(np.float64), compute_uv=False) / np.sqrt(latents.shape[1] - 1)
    return (spreads >= NARROW).sum(axis=1)


def lost_at(record: Record) -> pd.DataFrame:
    """The generation from which on fewer than one image in a hundred of a chain falls into a class.

    Returns
    -------
    DataFrame
        A row a class, a column a chain; nothing (NaN) where the last generation still has the class. A class that comes
        back was not lost.

    Raises
    ------
    ArchiveError
        Where the record has no shares of classes.
    """
    lost = {}
    for k in range(10):
        alive = record.chains(f"class_{k}") >= ALIVE
        generations = list(alive.index)
        after = {chain: [-1, *np.flatnonzero(seen)][-1] + 1 for chain, seen in alive.items()}
        lost[k] = {chain: generations[n] if n < len(generations) else np.nan for chain, n in after.items()}
    return pd.DataFrame(lost).T.rename_axis("class")

"""A class that is rare among the human images, and what a classifier knows of it that learned from generated ones.

Overall measures weight every class by its share among the human images, so what befalls a class of one per cent hardly
moves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..archive import ArchiveError, Record
from ..datasets import ImageSet
from ..features import Classifier, train_classifier
from ..recursion import stream

__all__ = ["STUDENT_EPOCHS", "STUDENT_IMAGES", "Minority", "make_rare", "rare_labels"]

STUDENT_IMAGES, STUDENT_EPOCHS = 10_000, 3
DIGITS = 10


@dataclass(frozen=True)
class Minority:
    """The rare class, and the share of every class among the human images, shape (classes,)."""

    label: int
    shares: np.ndarray

    def measures(
        self, images: np.ndarray, labels: np.ndarray, data: ImageSet, rng: np.random.Generator
    ) -> dict[str, float]:
        """How a classifier that learned from generated images alone does on human images that were held out.

        Parameters
        ----------
        images : numpy.ndarray of uint8, shape (images, side, side)
        labels : numpy.ndarray of int, shape (images,)
            The classes that the fixed classifier sees in them.

        Returns
        -------
        dict
            ``minority_recall``: share of the rare class's images that it knows; ``accuracy``: mean over the classes of
            that share, each class weighted by its share of the human images; ``minority_share``: share of the generated
            images that fall into the rare class.
        """
        lesson = ImageSet("generated", images, data.held_out, labels, data.held_out_labels)
        student, _ = train_classifier(lesson, int(rng.integers(2**31)), STUDENT_EPOCHS, len(self.shares))
        recall = recalls(student, data, len(self.shares))
        return {
            "minority_recall": float(recall[self.label]),
            "accuracy": float(recall @ self.shares),
            "minority_share": float((labels == self.label).mean()),
        }


def make_rare(data: ImageSet, share: float, rng: np.random.Generator) -> tuple[ImageSet, Minority]:
    """Human images of which a class, drawn at random, has only about that share; the others stay as they are."""
    classes = int(data.labels.max()) + 1
    label = _drawn(rng, classes)
    others, rare = np.flatnonzero(data.labels != label), np.flatnonzero(data.labels == label)
    few = rng.choice(rare, max(1, round(share / (1 - share) * len(others))), replace=False)
    seen = np.sort(np.concatenate([others, few]))
    labels = data.labels[seen]
    left = ImageSet(data.name, data.images[seen], data.held_out, labels, data.held_out_labels)
    return left, Minority(label, np.bincount(labels, minlength=classes) / len(labels))


def rare_labels(record: Record) -> list[int]:
    """Which digit is rare in each chain of a record, by its seed; raises `ArchiveError` where none is."""
    said = record.manifest
    if not said["config"]["rare"]:
        raise ArchiveError(f"no digit is rare in {record.name}")
    sources = (stream((said["seed"], 0, chain), 0, "source") for chain in range(said["chains"]))
    return [_drawn(rng, DIGITS) for rng in sources]


def _drawn(rng: np.random.Generator, classes: int) -> int:
    return int(rng.integers(classes))


def recalls(network: Classifier, data: ImageSet, classes: int) -> np.ndarray:
    """Share of each class's held-out images that a classifier knows, shape (classes,)."""
    found = network.classes_of(data.held_out)
    right = np.bincount(data.held_out_labels[found == data.held_out_labels], minlength=classes)
    return right / np.bincount(data.held_out_labels, minlength=classes)

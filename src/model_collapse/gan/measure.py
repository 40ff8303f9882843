"""What generated pictures look like beside human ones: through a fixed encoder, in their spectrum, and pixel by pixel.

The encoder (`model_collapse.features.Encoder`) learned from faces without labels. Its distances are its own: they are
not comparable with published Fréchet distances, which use another network.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from sklearn.cluster import KMeans

from ..datasets import ImageSet
from ..device import Compute
from ..distances import frechet_distance, nearest_distances, precision_recall
from ..features import load_encoder

__all__ = ["MANY", "NEIGHBOURS", "Gallery", "Lens", "excess", "pairwise_distance", "spectrum"]

MANY = 2000  # generated pictures that are measured
NEIGHBOURS = 5
CLUSTERS, RARE = 50, 10  # of human pictures, and how many of them, the smallest, count as rare
NEAR = 0.01  # quantile of the human pictures' own nearest distances below which a generated one is too near
HIGH = 0.5  # spatial frequencies from here on, as a share of the highest along an axis, are high


def pairwise_distance(points: np.ndarray) -> float:
    """Mean distance between two different points of a set (points, features)."""
    x = np.asarray(points, dtype=np.float64)
    squares = (x**2).sum(axis=1)
    gaps = np.sqrt((squares[:, None] + squares - 2 * x @ x.T).clip(0))
    np.fill_diagonal(gaps, 0)
    return float(gaps.sum() / (len(x) * (len(x) - 1)))


def spectrum(images: np.ndarray) -> np.ndarray:
    """Mean power of 8-bit images (images, side, side, channels), in grey, by spatial frequency, shape (side // 2,).

    Entry k is the mean over the ring of frequencies whose distance from zero rounds to k + 1 waves a side.
    """
    grey = images.astype(np.float64).mean(axis=-1) / 255
    side = grey.shape[1]
    power = (np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True))) ** 2).mean(axis=0)
    waves = np.fft.fftfreq(side, 1 / side)
    ring = np.rint(np.hypot(waves[:, None], waves)).astype(int)
    return np.array([power[ring == k].mean() for k in range(1, side // 2 + 1)])


def excess(power: np.ndarray, human: np.ndarray) -> float:
    """Mean over high frequencies of the decimal logarithm of one spectrum over another, both (side // 2,)."""
    high = np.arange(1, len(power) + 1) >= HIGH * len(power)
    return float(np.log10(power[high] / human[high]).mean())


class Lens:
    """A fixed encoder, and the features of human pictures: those to learn from, and those held out.

    Parameters
    ----------
    data : ImageSet
        Of 32 x 32 pixels, the size that the encoder takes.
    seed : int
        Of the archived encoder.
    """

    def __init__(self, data: ImageSet, compute: Compute, seed: int = 0):
        self.network = load_encoder(seed)[0].to(compute.device)
        self.learned = self.network.look(data.images[:MANY])
        self.held_out = self.network.look(data.held_out[:MANY])

    def measures(self, images: np.ndarray) -> dict[str, float]:
        """Of 8-bit images (images, side, side, channels).

        ``frechet``, ``precision``, ``recall`` (k = 5) against human pictures that were held out; ``feature_distance``:
        mean distance between two of them, small where all are alike; ``rare_mass``: share of them that fall into the
        ten smallest of fifty clusters of human pictures, over the share of those human ones that do; ``rare_alive``:
        share of these ten clusters that any of them falls into.
        """
        features = self.network.look(images)
        precision, recall = precision_recall(self.held_out, features, NEIGHBOURS)
        cells, shares = self._cells
        rare = np.argsort(shares)[:RARE]
        found = np.bincount(cells.predict(features), minlength=len(shares)) / len(features)
        return {
            "frechet": frechet_distance(self.held_out, features),
            "precision": precision,
            "recall": recall,
            "feature_distance": pairwise_distance(features),
            "rare_mass": float(found[rare].sum() / shares[rare].sum()),
            "rare_alive": float((found[rare] > 0).mean()),
        }

    @cached_property
    def among_humans(self) -> dict[str, float]:
        """``frechet_human``, ``precision_human``, ``recall_human``: of human pictures against those held out."""
        precision, recall = precision_recall(self.held_out, self.learned, NEIGHBOURS)
        return {
            "frechet_human": frechet_distance(self.held_out, self.learned),
            "precision_human": precision,
            "recall_human": recall,
        }

    @cached_property
    def _cells(self) -> tuple[KMeans, np.ndarray]:
        """Clusters of human pictures, and the share of these in each."""
        cells = KMeans(min(CLUSTERS, len(self.learned) // 4), n_init=3, random_state=0).fit(self.learned)
        return cells, np.bincount(cells.labels_, minlength=cells.n_clusters) / len(self.learned)


class Gallery:
    """Human pictures as pixels: how near generated ones come to them, and how their spectrum differs.

    Parameters
    ----------
    data : ImageSet
    """

    def __init__(self, data: ImageSet):
        self.side = data.images.shape[1]
        self.known = np.concatenate([_flat(data.images), _flat(data.images[:, :, ::-1])])
        self.human = spectrum(data.held_out)
        some = np.arange(min(MANY, len(data.images)))
        themselves = np.stack([some, some + len(data.images)], axis=1)
        self.limit = float(np.quantile(nearest_distances(self.known[some], self.known, themselves), NEAR))

    def distances(self, images: np.ndarray) -> np.ndarray:
        """Root mean squared difference, in [0, 1], of each picture to the nearest human one or its mirror image."""
        return nearest_distances(_flat(images), self.known)

    def too_near(self, images: np.ndarray) -> np.ndarray:
        """Which pictures lie nearer to a human one than 99 of 100 human ones lie to any other."""
        return self.distances(images) < self.limit

    def measures(self, images: np.ndarray) -> dict[str, float]:
        """``nearest_human``: median of `distances`; ``too_near``: share of pictures that are; ``pixel_distance``: mean
        root mean squared difference of two of them; ``spectral_excess``: how many powers of ten their power at high
        frequencies lies above human pictures'."""
        return {
            "nearest_human": float(np.median(self.distances(images))),
            "too_near": float(self.too_near(images).mean()),
            "pixel_distance": pairwise_distance(_flat(images)),
            "spectral_excess": excess(spectrum(images), self.human),
        }


def _flat(images: np.ndarray) -> np.ndarray:
    """Pictures as points, scaled so that their distance is the root mean squared difference in [0, 1]."""
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    return x / np.sqrt(x.shape[1])

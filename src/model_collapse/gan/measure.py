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

__all__ = ["NEIGHBOURS", "Gallery", "Lens", "excess", "pairwise_distance", "spectrum"]

MOST = 2000  # human pictures of a kind that generated ones are held against
NEIGHBOURS = 5
CLUSTERS, RARE = 50, 0.2  # of human pictures, and which share of them, the smallest, counts as rare
NEAR = 0.01  # quantile of the human pictures' own nearest distances up to which a generated one is too near
ALIKE = 0.5 / 255  # a distance up to this is that of a picture to its copy
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

    Entry k is the mean over the ring of frequencies whose distance from zero rounds to k + 1 waves a side; the last one
    holds all that lie further out as well, in the corners, where a checkerboard has its power. Nothing is below the
    power that rounding to 8 bits leaves.
    """
    grey = images.astype(np.float64).mean(axis=-1) / 255
    side = grey.shape[1]
    power = (np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True))) ** 2).mean(axis=0)
    waves = np.fft.fftfreq(side, 1 / side)
    ring = np.rint(np.hypot(waves[:, None], waves)).astype(int).clip(max=side // 2)
    floor = side**2 / (12 * 255**2)
    return np.array([power[ring == k].mean() for k in range(1, side // 2 + 1)]).clip(floor)


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
        self.learned = self.network.look(data.images[:MOST])
        self.held_out = self.network.look(data.held_out[:MOST])

    def measures(self, images: np.ndarray) -> dict[str, float]:
        """Of 8-bit images (images, side, side, channels).

        ``frechet``, ``precision``, ``recall`` (k = 5) against human pictures that were held out; ``feature_distance``:
        mean distance between two of them, small where all are alike; ``rare_mass``: share of them that fall into the
        smallest fifth of the clusters of human pictures (fifty, or as many as four pictures each allow), over the share
        of those human ones that do; ``rare_alive``: share of these clusters that any of them falls into. Precision and
        recall compare equally many pictures of both kinds.
        """
        features = self.network.look(images)
        few = min(len(features), len(self.held_out))
        precision, recall = precision_recall(self.held_out[:few], features[:few], NEIGHBOURS)
        cells, shares = self._cells
        rare = np.argsort(shares)[: max(round(RARE * len(shares)), 1)]
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
        few = min(len(self.learned), len(self.held_out))
        precision, recall = precision_recall(self.held_out[:few], self.learned[:few], NEIGHBOURS)
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
    learned : numpy.ndarray of uint8
        Those pictures of it that generation 0 learns from.
    """

    def __init__(self, data: ImageSet, learned: np.ndarray):
        self.human = spectrum(data.held_out)
        few = min(len(learned), len(data.held_out), MOST)  # the nearest of more would be nearer
        self.learned, self.unseen = _both_ways(learned[:few]), _both_ways(data.held_out[:few])
        self.all = np.concatenate([_both_ways(data.images), _both_ways(data.held_out)])
        self.limit = self._limit(len(data.images))

    def _limit(self, count: int) -> float:
        """The distance up to which a picture is too near, from human ones that are no copies of each other."""
        some = np.arange(min(MOST, count))
        themselves = np.stack([some, some + count], axis=1)
        own = nearest_distances(self.all[some], self.all, themselves)
        own = own[own > ALIKE]
        return float(np.quantile(own, NEAR)) if len(own) else ALIKE

    def too_near(self, images: np.ndarray) -> np.ndarray:
        """Which pictures lie as near to a human one, mirrored or not, as only 1 of 100 human ones lies to another.

        All human pictures count, those held out and set aside too.
        """
        return nearest_distances(_flat(images), self.all) <= self.limit

    def measures(self, images: np.ndarray) -> dict[str, float]:
        """Of 8-bit images (images, side, side, channels); distances are root mean squared differences in [0, 1].

        ``nearest_learned``, ``nearest_unseen``: median distance to the nearest picture, or its mirror image, of those
        that generation 0 learned from, and of as many of those held out, at most 2,000; the first far below the second
        would be learning by heart. ``too_near``: share of them that are. ``pixel_distance``: mean distance of two of
        them.
        ``spectral_excess``: how many powers of ten their power at high frequencies lies above that of human pictures.
        """
        points = _flat(images)
        return {
            "nearest_learned": float(np.median(nearest_distances(points, self.learned))),
            "nearest_unseen": float(np.median(nearest_distances(points, self.unseen))),
            "too_near": float(self.too_near(images).mean()),
            "pixel_distance": pairwise_distance(points),
            "spectral_excess": excess(spectrum(images), self.human),
        }


def _both_ways(images: np.ndarray) -> np.ndarray:
    """Pictures and their mirror images, as points."""
    return np.concatenate([_flat(images), _flat(images[:, :, ::-1])])


def _flat(images: np.ndarray) -> np.ndarray:
    """Pictures as points, scaled so that their distance is the root mean squared difference in [0, 1]."""
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    return x / np.sqrt(x.shape[1])

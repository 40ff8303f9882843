"""Distances on cases with known answers."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torchmetrics.image.fid import FrechetInceptionDistance

from model_collapse.distances import frechet_distance, nearest_distances, precision_recall

RNG = np.random.default_rng(0)


def test_the_frechet_distance_of_shifted_and_scaled_gaussians():
    x = RNG.standard_normal((200_000, 3))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + [3, 0, 4]) == pytest.approx(25)
    assert frechet_distance(x, 2 * x) == pytest.approx(3, rel=0.02)  # three axes, (2 - 1)^2 each


def test_the_frechet_distance_against_the_matrix_root():
    a, b = RNG.standard_normal((500, 4)) @ RNG.standard_normal((4, 4)), RNG.standard_normal((300, 4)) + 1
    ca, cb = np.cov(a.T), np.cov(b.T)
    gap = a.mean(0) - b.mean(0)
    assert frechet_distance(a, b) == pytest.approx(gap @ gap + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real))


class Flat(torch.nn.Module):
    """Pixels as features."""

    num_features = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).float()


def test_the_frechet_distance_is_the_library_s():
    """Ours takes features as they are, where theirs takes images and, unless told to, another network."""
    theirs = FrechetInceptionDistance(feature=Flat(), input_img_size=(1, 2, 2)).set_dtype(torch.float64)
    sets = [RNG.integers(0, most, (n, 4), dtype=np.uint8) for most, n in ((256, 500), (200, 400))]
    for x, real in zip(sets, (True, False), strict=True):
        theirs.update(torch.from_numpy(x.reshape(-1, 1, 2, 2)), real=real)
    assert frechet_distance(*sets) == pytest.approx(theirs.compute().item(), rel=1e-5)


def test_constant_features_do_no_harm():
    flat = np.column_stack([RNG.standard_normal(50), np.zeros(50)])
    assert frechet_distance(flat, flat + [0, 2]) == pytest.approx(4)


def test_precision_and_recall_of_one_distribution_are_high_and_of_two_are_nothing():
    x, y = RNG.standard_normal((2, 1500, 2))
    assert min(precision_recall(x, y)) > 0.95
    assert precision_recall(x, y + 100) == (0, 0)


def test_a_lost_mode_costs_recall_and_junk_costs_precision():
    one, other = RNG.standard_normal((2, 1000, 2)) + np.array([[[0, 0]], [[50, 0]]])
    both = np.concatenate([one[:500], other[:500]])
    fake = RNG.standard_normal((1000, 2))
    precision, recall = precision_recall(both, fake)
    assert precision > 0.9 and recall == pytest.approx(0.5, abs=0.05)
    junk = np.concatenate([fake[:750], RNG.standard_normal((250, 2)) + [0, 90]])
    assert precision_recall(one, junk)[0] == pytest.approx(0.75, abs=0.04)


def test_nearest_distances():
    found = nearest_distances(np.array([[0.0, 0], [5, 5]]), np.array([[3.0, 4], [5, 6], [100, 0]]))
    assert found == pytest.approx([5, 1])


def test_too_few_points():
    with pytest.raises(ValueError, match="need more than 5 points, not 5 and 9"):
        precision_recall(RNG.standard_normal((5, 2)), RNG.standard_normal((9, 2)))
    with pytest.raises(ValueError, match="needs two points in each set, not 1 and 9"):
        frechet_distance(RNG.standard_normal((1, 2)), RNG.standard_normal((9, 2)))

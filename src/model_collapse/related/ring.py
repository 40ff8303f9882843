"""Mode collapse: a GAN that leaves out some of eight humps although it sees people's points all the time.

Eight Gaussians on a ring, as in Metz et al. (2017), and networks small enough for a page. All chains are one batched
network. The cause is the game: a discriminator that learns much more slowly than the generator is fooled by one hump,
then by another; one that keeps pace is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..device import seeded, threads

__all__ = ["MODES", "Ring", "covered", "mode_collapse", "ring"]

MODES, RADIUS, SD = 8, 2.0, 0.1
NEAR, LEAST = 3.0, 0.01  # a hump is covered where so large a share of points lies within so many sd of its middle
LATENT, WIDTH, BATCH = 8, 64, 64
RATE = 1e-3


@dataclass(frozen=True)
class Ring:
    """A course of training.

    Attributes
    ----------
    steps : numpy.ndarray of int, shape (times,)
    covered : numpy.ndarray of int, shape (times, chains)
        Humps that are covered.
    points : numpy.ndarray, shape (times, points, 2)
        What the first chain samples.
    """

    steps: np.ndarray
    covered: np.ndarray
    points: np.ndarray


def ring(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """People's points: one of two coordinates for every place of `shape`, along a last axis."""
    angle = 2 * np.pi / MODES * rng.integers(MODES, size=shape)
    return RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=-1) + SD * rng.standard_normal((*shape, 2))


def covered(x: np.ndarray) -> np.ndarray:
    """How many humps the points (…, points, 2) cover, shape (…)."""
    angle = 2 * np.pi / MODES * np.arange(MODES)
    middles = RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    near = np.linalg.norm(x[..., :, None, :] - middles, axis=-1) < NEAR * SD
    return (near.mean(axis=-2) >= LEAST).sum(axis=-1)


class Layers(nn.Module):
    """One perceptron a chain, on inputs (chains, items, features)."""

    def __init__(self, chains: int, sizes: tuple[int, ...]):
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for last, size in zip(sizes, sizes[1:], strict=False):
            bound = math.sqrt(6 / (last + size))  # Glorot and Bengio (2010)
            self.weights.append(nn.Parameter(torch.empty(chains, last, size).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.zeros(chains, 1, size)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, F.leaky_relu(x, 0.2) if number else x, weight)
        return x


@threads(1)  # such small products are not worth a second one
def mode_collapse(chains: int, steps: int, pace: float = 1.0, *, times: int = 20, seed: int = 0) -> Ring:
    """Train GANs on the ring, from scratch, and count the humps on the way.

    Parameters
    ----------
    pace : float
        The discriminator's rate of learning, the generator's being 1.
    times : int
        How often the humps are counted.
    """
    rng = np.random.default_rng(seed)
    with seeded(rng):
        artist = Layers(chains, (LATENT, WIDTH, WIDTH, 2))
        judge = Layers(chains, (2, WIDTH, WIDTH, 1))
    both = [
        torch.optim.Adam(one.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)
        for one, rate in ((judge, pace * RATE), (artist, RATE))
    ]
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    marks = np.unique(np.linspace(0, steps, times).round().astype(int))
    seen, points = [], []
    for done in range(steps + 1):
        if done in marks:
            with torch.no_grad():
                x = artist(torch.randn(chains, 1000, LATENT, generator=generator)).numpy()
            seen.append(covered(x))
            points.append(x[0])
        _step(artist, judge, both, rng, generator)
    return Ring(marks, np.stack(seen), np.stack(points))


def _step(artist: Layers, judge: Layers, both, rng: np.random.Generator, generator: torch.Generator) -> None:
    """One step of each network, with the loss of Goodfellow et al. (2014) that does not saturate."""
    chains = len(artist.weights[0])
    real = torch.from_numpy(ring((chains, BATCH), rng)).float()
    fake = artist(torch.randn(chains, BATCH, LATENT, generator=generator))
    scores = judge(torch.cat([real, fake.detach()], dim=1))
    lost = F.softplus(-scores[:, :BATCH]) + F.softplus(scores[:, BATCH:])
    _descend(both[0], lost.mean(dim=1).sum())
    beaten = F.softplus(-judge(fake))
    _descend(both[1], beaten.mean(dim=1).sum())


def _descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()

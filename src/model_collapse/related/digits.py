"""Catastrophic forgetting: the book's VAE learns five digits, goes on with the other five, and forgets the first.

McCloskey and Cohen (1989). Nothing here is synthetic. `replay` mixes images of the first task into the second.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from .. import datasets, device
from ..vae.items import Images, Part
from ..vae.measure import Eye
from ..vae.network import VAE
from ..vae.training import Schedule, decode_means, fit, negative_elbo

__all__ = ["TASKS", "Learning", "forgetting"]

TASKS = (range(5), range(5, 10))
STRETCH = 4  # epochs between two looks at the network
GENERATED, SHOWN, BATCH = 500, 24, 64


@dataclass(frozen=True)
class Learning:
    """What is known of both tasks while the second is learned.

    Attributes
    ----------
    epochs : numpy.ndarray of int, shape (times,)
        Epochs of the second task.
    loss : numpy.ndarray, shape (times, 2)
        Negative ELBO of held-out digits of the first and of the second task, in nats an image.
    share : numpy.ndarray, shape (times,)
        Share of generated images that a fixed classifier takes for a digit of the first task.
    images : numpy.ndarray of uint8, shape (times, images, side, side)
        From latents that stay the same.
    """

    epochs: np.ndarray
    loss: np.ndarray
    share: np.ndarray
    images: np.ndarray


@device.threads(1)
def forgetting(epochs: int = 24, replay: float = 0.0, *, first: int = 32, seed: int = 0) -> Learning:
    """Learn the first task for `first` epochs and the second for `epochs`.

    Parameters
    ----------
    replay : float
        Share of the second task's pool that are images of the first.
    """
    data, compute, rng = datasets.digits(), device.Compute("cpu", "fp32"), np.random.default_rng(seed)
    eye = Eye(data, compute)
    old, new = (_part(data.images[np.isin(data.labels, task)]) for task in TASKS)
    held = [data.held_out[np.isin(data.held_out_labels, task)] for task in TASKS]
    network = _on(lambda: VAE(data.images.shape[1], 20, (32, 64)), Images((old,)), first, rng, compute)
    count = round(replay / (1 - replay) * new.count)
    pool = Images((new, old.take(count, rng))) if count else Images((new,))
    seen = [_look(network, eye, held, compute)]
    times = np.arange(0, epochs + 1, STRETCH)
    for _ in times[1:]:
        network = _on(lambda known=network: copy.deepcopy(known), pool, STRETCH, rng, compute)
        seen.append(_look(network, eye, held, compute))
    return Learning(times, *(np.stack(each) for each in zip(*seen, strict=True)))


def _part(images: np.ndarray) -> Part:
    return Part(len(images), images)


def _on(make, pool: Images, epochs: int, rng: np.random.Generator, compute: device.Compute) -> VAE:
    """The network that `make` gives, after so many epochs on a pool."""
    return fit(make, pool, pool.size, Schedule(epochs, BATCH), rng, compute)


def _look(network: VAE, eye: Eye, held: list[np.ndarray], compute: device.Compute):
    """Loss of both tasks, share of the first among generated images, and some of these."""
    generator = torch.Generator().manual_seed(0)
    images = decode_means(network, GENERATED, generator, compute)
    share = np.isin(eye.labels(images), TASKS[0]).mean()
    loss = np.array([float(negative_elbo(network, x, generator, compute).mean()) for x in held])
    return loss, share, (images[:SHOWN] * 255).round().to(torch.uint8).numpy()

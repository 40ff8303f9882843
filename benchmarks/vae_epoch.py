"""A generation of the VAE learning from its predecessor's stream: our fit, against the released loop's structure.

Both see the same number of images of 28 x 28 pixels. The loop is written here as the released notebook has it: a
`DataLoader` of pictures that become tensors one by one and lend the batches their sizes, fp32, default layout.
"""

from __future__ import annotations

import functools
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from model_collapse import datasets, device, load_record
from model_collapse.places import results_root
from model_collapse.vae import precision_gaps
from model_collapse.vae.items import Images, Part
from model_collapse.vae.network import VAE, elbo_terms
from model_collapse.vae.training import Schedule, fit, weights_of

from . import matrix_rate

IMAGES, BATCH = 6144, 256
THREADS = 2
BATCHES = IMAGES // BATCH


class Pictures(Dataset):
    """Pictures of digits, scaled to 28 x 28, with the labels that nobody uses."""

    def __init__(self) -> None:
        some = [Image.fromarray(image).resize((28, 28)) for image in datasets.digits().images]
        self.pictures = (some * (IMAGES // len(some) + 1))[:IMAGES]
        self.to_tensor = ToTensor()

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.to_tensor(self.pictures[index]), 0


@functools.cache
def _last() -> VAE:
    with device.seeded(np.random.default_rng(0)):
        return VAE().eval()


def ours() -> float:
    """Milliseconds a batch of 256 of one epoch, its stream, its checks and its bookkeeping included."""
    compute, items = device.compute(), Images((Part(IMAGES, None, weights_of(_last())),))
    with device.threads(THREADS):
        begin = time.perf_counter()
        fit(VAE, items, IMAGES, Schedule(1, BATCH), np.random.default_rng(1), compute)
        return (time.perf_counter() - begin) / BATCHES * 1e3


def theirs() -> float:
    """The same of the released loop."""
    where = device.compute().device
    last, loader = _last().to(where), DataLoader(Pictures(), batch_size=BATCH, shuffle=True)
    with device.threads(THREADS), device.seeded(np.random.default_rng(1)):
        begin = time.perf_counter()
        network = VAE().to(where)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-5)
        total = 0.0
        for pictures, _ in loader:
            with torch.no_grad():
                x = torch.sigmoid(_plainly_decoded(last, torch.randn(len(pictures), last.latent, device=where)))
            mean, log_variance = network.encode(x)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            logits = _plainly_decoded(network, z)
            error, divergence = elbo_terms(logits, x, mean, log_variance)
            loss = (error + divergence).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        return (time.perf_counter() - begin) / BATCHES * 1e3


def _plainly_decoded(network: VAE, z: torch.Tensor) -> torch.Tensor:
    """One layer after the other."""
    return network.decoder(network.spread(z).unflatten(1, network.shape))


def bar() -> float:
    """8 where the device has bf16 matrix units; elsewhere ours must not be slower."""
    return 8.0 if device.compute().precision == "bf16" else 1.0


def also(milliseconds: float) -> dict:
    """How much of the rate of large matrix products the fit reaches, and how well precisions agree in the archive."""
    return matrix_rate.reached(_step, milliseconds, THREADS) | _agreement()


def _agreement() -> dict:
    """The largest of `model_collapse.vae.precision_gaps`, by the number of images encoded."""
    if not (results_root() / "vae" / "laptop-precision").is_dir():
        return {"agreement": None}
    gaps = precision_gaps(load_record("vae", "laptop-precision"))
    return {"agreement": {str(images): float(np.abs(of_them).max()) for images, of_them in gaps.items()}}


def _step() -> None:
    """What a batch costs: a network that learns from it, and the last decoder, which draws it."""
    network, x = VAE(), torch.rand(BATCH, 1, 28, 28)
    logits, mean, log_variance = network(x, torch.randn(BATCH, network.latent))
    error, divergence = elbo_terms(logits, x, mean, log_variance)
    (error + divergence).sum().backward()
    with torch.no_grad():
        network.decode(torch.randn(BATCH, network.latent))

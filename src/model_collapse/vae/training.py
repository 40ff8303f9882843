"""Fitting the network: epochs over a pool whose items may be drawn anew, checkpoints inside a generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..checkpoints import go_on, keep
from ..device import Compute, seeded
from ..runs import Diverged
from .items import Images, Part
from .network import VAE, elbo_terms

__all__ = ["Schedule", "decode_means", "draw", "epoch_images", "fit", "load_decoder", "negative_elbo", "weights_of"]

CHUNK = 2000  # images that are decoded, or looked at, at once


@dataclass(frozen=True)
class Schedule:
    """How long and in which steps a network learns."""

    epochs: int
    batch: int
    rate: float = 1e-3
    decay: float = 1e-5


def _new(make: Callable[[], VAE], rng: np.random.Generator, compute: Compute) -> VAE:
    """A network with weights drawn from `rng`."""
    with seeded(rng):
        network = make()
    return network.to(compute.device, memory_format=torch.channels_last)


def fit(
    make: Callable[[], VAE],
    items: Images,
    rows: int,
    schedule: Schedule,
    rng: np.random.Generator,
    compute: Compute,
    *,
    binarise: bool = False,
    checkpoint: Path | None = None,
    on: Callable[[int, float], None] = lambda epoch, loss: None,
) -> VAE:
    """A newly drawn network after `schedule.epochs` epochs of `rows` items each.

    Each epoch has its own randomness, so a fit that finds its `checkpoint`, a file, goes on as if it had not stopped.

    Raises
    ------
    Diverged
        Where the loss of an epoch is not finite.
    """
    network = _new(make, rng, compute)
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.rate, weight_decay=schedule.decay)
    seeds = rng.integers(2**63, size=(schedule.epochs, 2))
    begin = go_on(checkpoint, network, optimiser)
    for epoch in range(begin, schedule.epochs):
        images = epoch_images(make, items, rows, np.random.default_rng(seeds[epoch, 0]), compute, binarise)
        generator = torch.Generator(compute.device).manual_seed(int(seeds[epoch, 1]))
        loss = _epoch(network, optimiser, images, schedule.batch, generator, compute)
        if not np.isfinite(loss):
            raise Diverged(f"epoch {epoch + 1}: the loss is {loss}")
        keep(checkpoint, network, epoch + 1, optimiser)
        on(epoch, loss)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return network.eval()


def _epoch(network, optimiser, images: torch.Tensor, batch: int, generator: torch.Generator, compute: Compute) -> float:
    """One pass over the images in an order of its own; the mean loss an image, in nats."""
    network.train()
    total = torch.zeros((), device=compute.device)
    order = torch.randperm(len(images), generator=generator, device=compute.device)
    for rows in order.split(batch):
        x = _as_input(images[rows])
        noise = torch.randn(len(rows), network.latent, generator=generator, device=compute.device)
        with compute.autocast():
            logits, mean, log_variance = network(x, noise)
        error, divergence = elbo_terms(logits, x, mean, log_variance)
        loss = (error + divergence).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += loss.detach()
    return float(total) / len(images)


def _as_input(images: torch.Tensor) -> torch.Tensor:
    """Images (n, side, side), 8 bit or half precision, as (n, 1, side, side) in [0, 1], channels last."""
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    return x.unsqueeze(1).contiguous(memory_format=torch.channels_last)


def epoch_images(
    make: Callable[[], VAE], items: Images, rows: int, rng: np.random.Generator, compute: Compute, binarise: bool
) -> torch.Tensor:
    """The images of one epoch, on the device.

    A finite pool gives all of its images, or `rows` of them, drawn without replacement, where it has more, so that
    pools that grow get no more steps. Otherwise each of `rows` rows comes from a part with a probability in
    proportion to its count, from a finite part at random, from a stream drawn anew; one decoder is at work at a time.
    """
    if items.finite:
        whole = np.concatenate([part.images for part in items.parts])
        few = whole[rng.choice(len(whole), rows, replace=False)] if len(whole) > rows else whole
        return torch.from_numpy(few).to(compute.device)
    counts = rng.multinomial(rows, [part.count / items.size for part in items.parts])
    drawn = [draw(make, part, int(n), rng, compute, binarise) for part, n in zip(items.parts, counts, strict=True) if n]
    return torch.cat(drawn)


def draw(
    make: Callable[[], VAE], part: Part, n: int, rng: np.random.Generator, compute: Compute, binarise: bool = False
) -> torch.Tensor:
    """`n` images of a part, (n, side, side) in half precision on the device."""
    if part.images is not None:
        picked = torch.from_numpy(part.images[rng.integers(part.count, size=n)])
        return (picked.to(compute.device).float() / 255).half()
    generator = torch.Generator(compute.device).manual_seed(int(rng.integers(2**63)))
    return decode_means(load_decoder(make, part.decoder, compute), n, generator, compute, binarise).half()


@torch.no_grad()
def decode_means(
    network: VAE, n: int, generator: torch.Generator, compute: Compute, binarise: bool = False
) -> torch.Tensor:
    """Means of the pixels given latents from the prior, (n, side, side); with `binarise`, Bernoulli draws from them."""
    parts = []
    for begin in range(0, n, CHUNK):
        z = torch.randn(min(CHUNK, n - begin), network.latent, generator=generator, device=compute.device)
        with compute.autocast():
            logits = network.decode(z)
        means = torch.sigmoid(logits.float()).squeeze(1)
        parts.append(torch.bernoulli(means, generator=generator) if binarise else means)
    return torch.cat(parts)


@torch.no_grad()
def negative_elbo(network: VAE, images: np.ndarray, generator: torch.Generator, compute: Compute) -> torch.Tensor:
    """Of each of the 8-bit images (images, side, side), in nats, in single precision."""
    noise = torch.randn(len(images), network.latent, generator=generator, device=compute.device)
    found = []
    for some, its in zip(torch.from_numpy(images).split(CHUNK), noise.split(CHUNK), strict=True):
        x = _as_input(some.to(compute.device))
        logits, mean, log_variance = network(x, its)
        found.append(sum(elbo_terms(logits, x, mean, log_variance)))
    return torch.cat(found)


def weights_of(network: VAE) -> dict[str, np.ndarray]:
    """All weights by name, fp32, on the host."""
    return {name: x.detach().float().cpu().contiguous().numpy() for name, x in network.state_dict().items()}


def load_decoder(make: Callable[[], VAE], weights: Mapping[str, np.ndarray], compute: Compute) -> VAE:
    """A network with given weights, for sampling only."""
    network = make()
    network.load_state_dict({name: torch.from_numpy(np.array(x)) for name, x in weights.items()})
    return network.to(compute.device, memory_format=torch.channels_last).eval()

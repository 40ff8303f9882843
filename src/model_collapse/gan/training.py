"""Two networks against each other, step by step, with checkpoints on the way; and drawing images from the one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from ..checkpoints import go_on, keep
from ..device import Compute, seeded
from ..runs import Diverged
from .network import Discriminator, Generator, discriminator_loss, generator_loss

__all__ = ["Schedule", "Trio", "draw", "fit", "render", "step"]

EVERY = 250  # steps between two checkpoints; each stretch has randomness of its own
CHUNK = 500  # images that are drawn at once
BATCHES = 10  # of so many images, for an average's statistics
AVERAGE = 0.999  # what the moving average of the generator keeps at each step; less at first


@dataclass(frozen=True)
class Schedule:
    """How long and in which steps the networks learn."""

    steps: int
    batch: int
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)


class Trio(nn.Module):
    """A generator, its moving average (which images are drawn from), and a discriminator."""

    def __init__(self, side: int, channels: int, latent: int):
        super().__init__()
        self.generator, self.discriminator = Generator(side, channels, latent), Discriminator(side, channels)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)

    @torch.no_grad()
    def follow(self, done: int) -> None:
        """Move the average towards the generator, which has done so many steps before.

        A young average forgets faster, or else it would stay near the random weights that it began with. Its statistics
        of batches wait for `settle`.
        """
        kept = min(AVERAGE, (1 + done) / (10 + done))
        for old, new in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            old.lerp_(new, 1 - kept)

    def settle(self, generator: torch.Generator, compute: Compute) -> Generator:
        """The average, with statistics of batches measured on its own weights, ready to draw.

        With the generator's own, which belong to other weights, it drew faces of far less variety.
        """
        latents = (
            torch.randn(CHUNK, self.average.latent, generator=generator, device=compute.device) for _ in range(BATCHES)
        )
        with compute.autocast():
            update_bn(latents, self.average)
        return self.average.eval()


def fit(
    make: Callable[[], Trio],
    images: np.ndarray,
    schedule: Schedule,
    rng: np.random.Generator,
    compute: Compute,
    *,
    checkpoint: Path | None = None,
    on: Callable[[int, float], None] = lambda step, loss: None,
) -> Generator:
    """The moving average of a newly drawn generator after `schedule.steps` steps on images and their mirror images.

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (images, side, side, channels)
    checkpoint : Path or None
        A fit that finds this file goes on as if it had not stopped.

    Raises
    ------
    Diverged
        Where a loss is not finite; it is looked at with every checkpoint.
    """
    with seeded(rng):
        networks = make()
    networks = networks.to(compute.device, memory_format=torch.channels_last)
    both = [
        torch.optim.Adam(network.parameters(), lr=schedule.rate, betas=schedule.betas)
        for network in (networks.discriminator, networks.generator)
    ]
    seeds = rng.integers(2**63, size=1 - (-schedule.steps // EVERY))  # the last one settles the average
    pixels = torch.from_numpy(np.moveaxis(images, -1, 1).copy()).to(compute.device)
    begin = go_on(checkpoint, networks, *both)
    for done in range(begin, schedule.steps, EVERY):
        end = min(done + EVERY, schedule.steps)
        generator = torch.Generator(compute.device).manual_seed(int(seeds[done // EVERY]))
        total = torch.zeros((), device=compute.device)
        for number in range(done, end):
            total += step(networks, both, _batch(pixels, schedule.batch, generator), generator, compute)
            networks.follow(number)
        if not torch.isfinite(total):
            raise Diverged(f"steps {done + 1} to {end}: the loss is {float(total)}")
        keep(checkpoint, networks, end, *both)
        on(end, float(total) / (end - done))
    settled = networks.settle(torch.Generator(compute.device).manual_seed(int(seeds[-1])), compute)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return settled


def step(networks: Trio, both, real: torch.Tensor, generator: torch.Generator, compute: Compute) -> torch.Tensor:
    """One step of each network; the sum of the two losses.

    The discriminator sees real and generated images in one batch, so that its layers run once.
    """
    judge, artist = both
    z = torch.randn(2, len(real), networks.generator.latent, generator=generator, device=real.device)
    with compute.autocast():
        with torch.no_grad():
            fake = networks.generator(z[0])
        scores = networks.discriminator(torch.cat([real, fake.to(real.dtype)]))
    lost = discriminator_loss(*scores.split(len(real)))
    judge.zero_grad(set_to_none=True)
    lost.backward()
    judge.step()
    networks.discriminator.requires_grad_(False)
    with compute.autocast():
        beaten = generator_loss(networks.discriminator(networks.generator(z[1])))
    networks.discriminator.requires_grad_(True)
    artist.zero_grad(set_to_none=True)
    beaten.backward()
    artist.step()
    return (lost + beaten).detach()


def _batch(pixels: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """`n` images at random, half of them mirrored, (n, channels, side, side) in [-1, 1], channels last."""
    rows = torch.randint(len(pixels), (n,), generator=generator, device=pixels.device)
    mirrored = torch.rand(n, generator=generator, device=pixels.device) < 0.5
    x = pixels[rows]
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def draw(network: Generator, n: int, truncation: float, generator: torch.Generator, compute: Compute) -> np.ndarray:
    """`n` images, 8 bit, (n, side, side, channels), of latents that are drawn together to their mean by `truncation`.

    A latent z becomes ``truncation * z``, since the mean is 0: 1 leaves it alone.
    """
    where = next(network.parameters()).device
    parts = []
    for begin in range(0, max(n, 1), CHUNK):  # none wanted are an empty part
        z = truncation * torch.randn(min(CHUNK, n - begin), network.latent, generator=generator, device=where)
        parts.append(render(network, z, compute))
    return np.concatenate(parts)


@torch.no_grad()
def render(network: Generator, z: torch.Tensor, compute: Compute) -> np.ndarray:
    """What a generator makes of latents (n, latent): 8 bit, (n, side, side, channels)."""
    with compute.autocast():
        x = network(z)
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

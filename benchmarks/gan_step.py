"""A step of both networks of the GAN: ours, against the same networks in fp32, default layout, one pass for each batch.

The plain way is what tutorials show: real and generated pictures go through the discriminator one after the other, the
discriminator's parameters collect gradients while the generator learns, and every loss is read out as a number.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from model_collapse import device
from model_collapse.gan.network import discriminator_loss, generator_loss
from model_collapse.gan.training import Schedule, Trio, fit, step

from . import matrix_rate

BATCH, STEPS, LATENT, SIDE, THREADS = 64, 40, 64, 32, 2
PICTURES = np.random.default_rng(0).integers(0, 256, (1000, SIDE, SIDE, 3), dtype=np.uint8)


def _networks() -> Trio:
    return Trio(SIDE, 3, LATENT)


def ours() -> float:
    """Milliseconds a step of a whole fit, its checks, batches and moving average included."""
    with device.threads(THREADS):
        begin = time.perf_counter()
        fit(_networks, PICTURES, Schedule(STEPS, BATCH), np.random.default_rng(1), device.compute())
        return (time.perf_counter() - begin) / STEPS * 1e3


def theirs() -> float:
    """The same as one would write it from a tutorial."""
    where = device.compute().device
    pixels = (torch.from_numpy(np.moveaxis(PICTURES, -1, 1).copy()).float() / 127.5 - 1).to(where)
    with device.threads(THREADS), device.seeded(np.random.default_rng(1)):
        networks = _networks().to(where)
        generator, discriminator = networks.generator, networks.discriminator
        judge, artist = (
            torch.optim.Adam(x.parameters(), lr=2e-4, betas=(0.5, 0.999)) for x in (discriminator, generator)
        )
        begin = time.perf_counter()
        for number in range(STEPS):
            real = pixels[torch.randint(len(pixels), (BATCH,), device=where)]
            real = torch.where(torch.rand(BATCH, 1, 1, 1, device=where) < 0.5, real.flip(3), real)
            judge.zero_grad()
            fake = generator(torch.randn(BATCH, LATENT, device=where))
            lost = discriminator_loss(discriminator(real), discriminator(fake.detach()))
            lost.backward()
            judge.step()
            artist.zero_grad()
            beaten = generator_loss(discriminator(generator(torch.randn(BATCH, LATENT, device=where))))
            beaten.backward()
            artist.step()
            networks.follow(number)
            lost.item(), beaten.item()
        return (time.perf_counter() - begin) / STEPS * 1e3


def bar() -> float:
    """5 where the device has bf16 matrix units; elsewhere ours must not be slower."""
    return 5.0 if device.compute().precision == "bf16" else 1.0


def also(milliseconds: float) -> dict:
    """How much of the rate of large matrix products a step reaches."""
    networks, generator = _networks(), torch.Generator().manual_seed(0)
    both = [torch.optim.Adam(x.parameters()) for x in (networks.discriminator, networks.generator)]
    real = torch.rand(BATCH, 3, SIDE, SIDE)

    def once():
        step(networks, both, real, generator, device.Compute("cpu", "fp32"))

    return matrix_rate.reached(once, milliseconds, THREADS)

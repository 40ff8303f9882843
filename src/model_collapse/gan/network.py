"""A small generative adversarial network of images, and its losses.

A convolutional generator with batch normalisation (Radford et al., 1511.06434) against a spectrally normalised
discriminator (Miyato et al., 1802.05957) with the hinge loss.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["Discriminator", "Generator", "discriminator_loss", "generator_loss"]

WIDTHS = (128, 64, 32)  # of the generator, from the smallest grid to the largest


class Generator(nn.Module):
    """From latents (images, latent) to images (images, channels, side, side) in [-1, 1].

    Parameters
    ----------
    side : int
        Pixels along a side, a multiple of eight.
    channels : int
        1 for grey images, 3 for coloured ones.
    latent : int
        Dimension of the latent space, whose distribution is standard normal.
    """

    def __init__(self, side: int = 32, channels: int = 3, latent: int = 64):
        super().__init__()
        first, second, third = WIDTHS
        self.latent, self.start = latent, (first, side // 8, side // 8)
        self.spread = nn.Linear(latent, first * (side // 8) ** 2, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.ConvTranspose2d(first, second, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(),
            nn.ConvTranspose2d(second, third, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(third),
            nn.ReLU(),
            nn.ConvTranspose2d(third, channels, 4, stride=2, padding=1),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        hidden = self.spread(z).unflatten(1, self.start).contiguous(memory_format=torch.channels_last)
        return torch.tanh(self.body(hidden))


class Discriminator(nn.Module):
    """A score (images,) of images (images, channels, side, side) in [-1, 1]; every layer is spectrally normalised."""

    def __init__(self, side: int = 32, channels: int = 3):
        super().__init__()
        self.body = nn.Sequential(
            spectral_norm(nn.Conv2d(channels, 64, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.1),
            spectral_norm(nn.Conv2d(64, 128, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.1),
            spectral_norm(nn.Conv2d(128, 128, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            spectral_norm(nn.Linear(128 * (side // 8) ** 2, 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).squeeze(1)


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Hinge loss of scores of real and of generated images: mean max(0, 1 - real) plus mean max(0, 1 + fake)."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Minus the mean score of generated images."""
    return -fake.float().mean()

"""The network of the released notebook, and its loss (Shumailov et al., Nature 2024).

Encoder: convolutions 1 -> 64 -> 128 (kernel 4, stride 2, padding 1), two linear heads; decoder: the mirror image;
latent dimension 20. On 28 x 28 images it has 647,081 parameters. Smaller images get the same shape, other widths.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["VAE", "elbo_terms"]


class VAE(nn.Module):
    """A convolutional variational autoencoder of square grey images.

    Parameters
    ----------
    side : int
        Pixels along a side, a multiple of four.
    latent : int
        Dimension of the latent space.
    widths : pair of int
        Channels after the first and the second convolution.
    """

    def __init__(self, side: int = 28, latent: int = 20, widths: tuple[int, int] = (64, 128)):
        super().__init__()
        first, second = widths
        self.shape = (second, side // 4, side // 4)
        flat = second * (side // 4) ** 2
        self.encoder = nn.Sequential(
            nn.Conv2d(1, first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
        )
        self.mean, self.log_variance = nn.Linear(flat, latent), nn.Linear(flat, latent)
        self.spread = nn.Linear(latent, flat)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(second, first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(first, 1, 4, stride=2, padding=1),
        )

    @property
    def latent(self) -> int:
        return self.mean.out_features

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the posterior, each (images, latent), of images (images, 1, side, side)."""
        hidden = self.encoder(x)
        flat = hidden.flatten(1)
        if hidden.requires_grad and hidden.is_contiguous(memory_format=torch.channels_last):
            # The gradient comes back in the order of `flat`; in another than its values ReLU takes six times as long.
            hidden.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return self.mean(flat), self.log_variance(flat)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Logits of the pixels' means, (images, 1, side, side).

        Between the linear layer and the first transposed convolution there is no activation, so both together are one
        affine map of the few latents. It is made once a call, by sending the columns of the linear layer through the
        convolution, instead of sending every image through it: the same function at a fraction of the cost.
        """
        first, *rest = self.decoder
        columns = torch.cat([self.spread.weight.T, self.spread.bias[None]]).unflatten(1, self.shape)
        grown = first(columns).permute(0, 2, 3, 1)
        slopes, offset = grown[:-1] - first.bias, grown[-1]  # the convolution's bias belongs to the offset alone
        hidden = torch.addmm(offset.flatten(), z, slopes.flatten(1)).unflatten(1, offset.shape)
        return nn.Sequential(*rest)(hidden.permute(0, 3, 1, 2))

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of the reconstruction through z = mean + sd * noise, and the posterior's mean and log variance."""
        mean, log_variance = self.encode(x)
        return self.decode(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance


def elbo_terms(
    logits: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Reconstruction error (binary cross-entropy, summed over pixels) and Kullback-Leibler divergence from the prior.

    Each of shape (images,), in nats; their sum is the negative ELBO.
    """
    error = F.binary_cross_entropy_with_logits(logits.float(), x.float(), reduction="none").flatten(1).sum(1)
    mean, log_variance = mean.float(), log_variance.float()
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return error, divergence

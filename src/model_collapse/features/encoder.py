"""A network that learned, without labels, to recognise a face that was cropped, mirrored and coloured otherwise.

SimCLR (Chen et al., 2002.05709): two views of each picture, and a loss that pulls the two together and pushes all
others away. Measures look through the layer before the projection. Distances in it are not comparable with those in the
features of other networks, published Fréchet distances among them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .. import datasets, device

__all__ = ["ENCODER_EPOCHS", "Encoder", "contrast", "retrieval", "train_encoder", "views"]

ENCODER_EPOCHS, BATCH, RATE, TEMPERATURE = 40, 256, 1e-3, 0.2
FEATURES = 128
SMALLEST = 0.6  # side of a view over that of the picture
CHUNK = 1000  # pictures that are looked at together


class Encoder(nn.Module):
    """Four convolutions and a mean over the grid: 128 features of a colour picture of 32 x 32 pixels."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((3, 32, 1), (32, 64, 2), (64, 128, 2), (128, FEATURES, 2)):
            layers += [
                nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (pictures, 128) of pictures (pictures, 3, 32, 32) in [0, 1]."""
        return self.body(x * 2 - 1).mean(dim=(2, 3))

    @torch.no_grad()
    def look(self, images: np.ndarray) -> np.ndarray:
        """Features (images, 128) of 8-bit images (images, 32, 32, channels); grey counts as three equal colours."""
        where, found = next(self.parameters()).device, []
        for begin in range(0, len(images), CHUNK):
            x = torch.from_numpy(np.moveaxis(images[begin : begin + CHUNK], -1, 1).copy()).to(where).float() / 255
            found.append(self(x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)).cpu().numpy())
        return np.concatenate(found)


def views(x: torch.Tensor) -> torch.Tensor:
    """Another look at each picture (pictures, 3, side, side) in [0, 1]: a part of it, mirrored or not, recoloured."""
    n = len(x)
    scale = torch.empty(n).uniform_(SMALLEST, 1)
    sign = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    shift = torch.empty(n, 2).uniform_(-1, 1) * (1 - scale)[:, None]
    frames = torch.zeros(n, 2, 3)
    frames[:, 0, 0], frames[:, 1, 1], frames[:, :, 2] = scale * sign, scale, shift
    x = F.grid_sample(
        x, F.affine_grid(frames, x.shape, align_corners=False), align_corners=False, padding_mode="border"
    )
    brightness, contrast_, colour = (torch.empty(n, 1, 1, 1).uniform_(0.6, 1.4) for _ in range(3))
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * torch.where(torch.rand(n, 1, 1, 1) < 0.2, torch.zeros(1), colour)
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    return ((middle + (x - middle) * contrast_) * brightness).clamp(0, 1)


def contrast(a: torch.Tensor, b: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """The normalised, temperature-scaled cross-entropy of two views' projections, each (pictures, features).

    Every one of the 2 n projections has to find its partner among the 2 n - 1 others, by cosine.
    """
    z = F.normalize(torch.cat([a, b]), dim=1)
    similar = z @ z.T / temperature
    similar.fill_diagonal_(-torch.inf)
    partner = torch.arange(len(z)).roll(len(a))
    return F.cross_entropy(similar, partner)


@torch.enable_grad()
def train_encoder(data: datasets.ImageSet, seed: int, epochs: int = ENCODER_EPOCHS) -> tuple[Encoder, float]:
    """An encoder of the pictures that are not held out, on the processor, and how it retrieves those that are."""
    rng = np.random.default_rng(seed)
    pixels = torch.from_numpy(np.moveaxis(data.images, -1, 1).copy())
    with device.seeded(rng):
        encoder = Encoder().to(memory_format=torch.channels_last)
        head = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, 64))
        both = nn.ModuleList([encoder, head])
        optimiser = torch.optim.Adam(both.parameters(), lr=RATE, weight_decay=1e-5)
        steps = epochs * (len(pixels) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
        for _ in range(epochs):
            order = torch.randperm(len(pixels))
            for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
                x = pixels[rows].float() / 255
                seen = torch.cat([views(x), views(x)]).contiguous(memory_format=torch.channels_last)
                loss = contrast(*head(encoder(seen)).split(BATCH))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
    encoder.load_state_dict(
        {key: x.half().float() if x.is_floating_point() else x for key, x in encoder.state_dict().items()}
    )
    return encoder.eval(), retrieval(encoder.eval(), data.held_out)


@torch.no_grad()
def retrieval(encoder: Encoder, images: np.ndarray) -> float:
    """Share of the first 1,000 8-bit images (images, side, side, 3) whose other view is, by cosine, nearest to them.

    The views are the same for every encoder.
    """
    x = torch.from_numpy(np.moveaxis(images[:1000], -1, 1).copy()).float() / 255
    with device.seeded(np.random.default_rng(0)):
        other = views(x)
    a, b = (F.normalize(encoder(some), dim=1) for some in (x, other))
    return float(((a @ b.T).argmax(dim=1) == torch.arange(len(a))).float().mean())

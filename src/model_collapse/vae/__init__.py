"""A variational autoencoder trained on its predecessor's images (Shumailov et al., Nature 2024, supplement figure 7).

Follows the released notebook: the network and schedule of `model_collapse.vae.network`, weights drawn anew in every
generation. There the synthetic set is no set but a stream: every batch is a fresh draw of the last decoder's pixel
means (variant `stream`). Variant `stored` samples a finite set once a generation, which adds the error of finite
sampling; variant `binarised` is a stream of Bernoulli draws instead of means.

A chain has its own generation 0; the released five runs probably shared one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from .. import datasets, device
from ..recursion import Generation, Turn, stream
from ..regimes import Pool, Regime, Source
from ..runs import BaseConfig, ConfigError, Family, Study
from .items import Images, Part
from .measure import Eye
from .network import VAE, elbo_terms
from .training import Diverged, Schedule, decode_means, fit, weights_of

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "VAELearner", "run"]

PROTOCOL = 1
VARIANTS = {
    "stream": "every batch a fresh draw of the last decoder's means, as in the released notebook",
    "stored": "a finite set of means sampled once a generation",
    "binarised": "every batch a fresh Bernoulli draw from the last decoder's means",
}
SHOWN = 30  # images that a record keeps of every generation that is named
FEW, MANY = 100, 2000  # generated images that are encoded: as released, and enough for a steady number


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run. A block is one chain: networks have no axis of chains.

    Attributes
    ----------
    images : {"digits", "mnist"}
        Human data: scikit-learn's 8 x 8 digits, or MNIST.
    n : int
        Items a pool; 0 takes all training images.
    epochs, batch : int
        Schedule of every generation; under `accumulate` and `augment` an epoch has the steps of `replace`.
    latent : int
        Dimension of the latent space.
    classifier : int
        Seed of the archived classifier that measures.
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "bf16", "fp32"}
        See `model_collapse.device.compute`.
    """

    images: str = "mnist"
    n: int = 0
    epochs: int = 30
    batch: int = 256
    latent: int = 20
    classifier: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.images in ("digits", "mnist"), f"images must be digits or mnist, not {self.images!r}")
        self.require(self.n >= 0, f"n must not be negative, not {self.n}")
        for name in ("epochs", "batch", "latent"):
            self.require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        self.require(self.device in ("auto", "cpu", "cuda"), f"device must be auto, cpu or cuda, not {self.device!r}")
        known = ("auto", "bf16", "fp32")
        self.require(self.precision in known, f"precision must be auto, bf16 or fp32, not {self.precision!r}")
        self.require(self.block == 1, f"block must be 1, one network a chain, not {self.block}")


class VAELearner:
    """Train, sample, measure through the encoder of generation 0."""

    def __init__(self, config: Config, regime: Regime, data: datasets.ImageSet, n: int):
        self.config, self.regime, self.data, self.n = config, regime, data, n

    @cached_property
    def compute(self) -> device.Compute:
        try:
            return device.compute(self.config.device, self.config.precision)
        except device.DeviceError as error:
            raise ConfigError(str(error)) from None

    def network(self) -> VAE:
        side = self.data.images.shape[1]
        return VAE(side, self.config.latent, (64, 128) if side >= 16 else (32, 64))

    def prepare(self, source: Source, turn: Turn) -> None:
        """Train the network of generation 0, or read it back: its encoder measures every later generation."""
        kept = turn.scratch / "first.safetensors" if turn.scratch else None
        self.first = self._fit(source.items, Turn(0, turn.seed, turn.scratch), kept)

    def fit(self, pool: Pool, turn: Turn) -> VAE:
        return self.first if turn.g == 0 else self._fit(pool.items, turn, None)

    def sample(self, model: VAE, pool: Pool, turn: Turn) -> Images:
        n = self.regime.needed(self.n)
        if self.config.variant != "stored":
            return Images((Part(n, None, weights_of(model)),))
        means = decode_means(model, n, self._generator(turn.sample), self.compute)
        return Images((Part(n, (means * 255).round().to(torch.uint8).cpu().numpy()),))

    @torch.no_grad()
    def measure(self, model: VAE, synthetic: Images, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (1,), of this chain.

        ``latent_sd``, ``latent_sd_2000``: sd of the posterior means that the encoder of generation 0 gives 100 (as
        released) and 2,000 images of this generation; ``latent_mean``: their mean over the latter; ``negative_elbo``:
        of held-out human images, in nats an image; ``pixel_variance``: mean over pixels of the variance over images.
        See `model_collapse.vae.measure` for what the fixed classifier sees.
        """
        images = decode_means(model, MANY, self._generator(turn.measure), self.compute)
        latents, _ = self.first.encode(images.unsqueeze(1).contiguous(memory_format=torch.channels_last))
        held = torch.from_numpy(self.data.held_out).to(self.compute.device).float().unsqueeze(1) / 255
        noise = torch.randn(
            len(held), model.latent, generator=self._generator(turn.measure), device=self.compute.device
        )
        logits, mean, log_variance = model(held.contiguous(memory_format=torch.channels_last), noise)
        error, divergence = elbo_terms(logits, held, mean, log_variance)
        found = {
            "latent_sd": latents[:FEW].std(),
            "latent_sd_2000": latents.std(),
            "latent_mean": latents.mean(),
            "negative_elbo": (error + divergence).mean(),
            "pixel_variance": images.var(0).mean(),
        }
        found |= self.eye.measures(images)
        return {name: np.array([float(value)]) for name, value in found.items()}

    @cached_property
    def eye(self) -> Eye:
        """The fixed classifier, and what it sees in human images."""
        return Eye(self.data, self.compute, self.config.classifier)

    def _fit(self, items: Images, turn: Turn, kept: Path | None) -> VAE:
        schedule = Schedule(self.config.epochs, self.config.batch)
        checkpoint = turn.scratch / f"fit-{turn.g:04d}.safetensors" if turn.scratch else None
        binarise = self.config.variant == "binarised"
        options = {"binarise": binarise, "checkpoint": checkpoint, "kept": kept}
        try:
            return fit(self.network, items, self.n, schedule, turn.fit, self.compute, **options)
        except Diverged as error:
            raise ConfigError(f"generation {turn.g}, {error}; what was done before is kept") from None

    def _generator(self, rng: np.random.Generator) -> torch.Generator:
        return torch.Generator(self.compute.device).manual_seed(int(rng.integers(2**63)))


def load(config: Config, path: Path | None) -> datasets.ImageSet | None:
    """A person's own images, or the human images of a configuration."""
    if path is not None:
        return datasets.read_images(path)
    return datasets.digits() if config.images == "digits" else datasets.mnist()


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data: datasets.ImageSet
) -> tuple[Source, VAELearner]:
    """The source and the learner of one chain."""
    n = config.n or len(data.images)
    config.require(n <= len(data.images), f"n = {n} is more than the {len(data.images)} images of {data.name}")
    order = stream(seed, 0, "source").permutation(len(data.images))
    seen = np.sort(order[:n])
    left, wanted = len(order) - n, regime.n_real * config.generations
    if regime.name == "fresh" and 0 < left < wanted:
        raise ConfigError(
            f"{config.generations} generations of {regime.n_real} fresh images need {wanted} set aside, not {left}"
        )
    reserve = _Reserve(data.images[order[n:]]).draw if left else None
    source = Source(_whole(data.images[seen]), n, reserve, "set some aside with a smaller --set n=")
    return source, VAELearner(config, regime, data, n)


def restore(arrays: dict[str, np.ndarray]) -> Images:
    """Items from the arrays that a resume state keeps."""
    return Images.from_arrays(arrays)


@torch.no_grad()
def keep(generation: Generation) -> dict[str, np.ndarray]:
    """Images from latents that are the same in every generation and chain, 8 bit, shape (images, side, side)."""
    network = generation.model
    where = next(network.parameters()).device
    z = torch.randn(SHOWN, network.latent, generator=torch.Generator().manual_seed(0)).to(where)
    return {"images": (torch.sigmoid(network.decode(z).float()) * 255).round().to(torch.uint8).squeeze(1).cpu().numpy()}


def _whole(images: np.ndarray) -> Images:
    return Images((Part(len(images), images),))


@dataclass(frozen=True)
class _Reserve:
    """Images set aside before generation 0; generation g gets the g-th helping."""

    images: np.ndarray

    def draw(self, n: int, g: int, rng: np.random.Generator) -> Images:
        return _whole(self.images[(g - 1) * n : g * n])


def work(config: Config) -> float:
    """Images that all fits see; a fit on 8 x 8 images costs a tenth of one on 28 x 28."""
    items = config.n or (60_000 if config.images == "mnist" else 1_500)
    return config.chains * (config.generations + 1) * config.epochs * items * (1 if config.images == "mnist" else 0.1)


_EVERY = tuple(range(21))
PROFILES = {
    "smoke": Config(chains=2, generations=2, images="digits", n=400, epochs=2, batch=100, marks=_EVERY),
    "quick": Config(chains=2, generations=5, images="digits", epochs=40, batch=64, marks=_EVERY),
    "laptop": Config(chains=3, generations=5, epochs=5, threads=2, marks=_EVERY),
    "paper": Config(chains=5, generations=20, threads=2, marks=_EVERY),
}

STUDIES = {
    "stream-replace": Study("replace", "stream"),
    "stream-keep10": Study("keep", "stream", settings={"share": 0.1}),
    "stream-augment": Study("augment", "stream"),
    "stream-accumulate": Study("accumulate", "stream"),
    "stream-subsample": Study("accumulate_subsample", "stream"),
    "stored-replace": Study("replace", "stored"),
    "binarised-replace": Study("replace", "binarised"),
}

FAMILY = Family(
    "vae",
    Config,
    PROFILES,
    STUDIES,
    VARIANTS,
    PROTOCOL,
    build,
    restore,
    default_variant="stream",
    load=load,
    keep=keep,
    work=work,
    pace=3e-4,
    gpu=("paper",),
)
run = FAMILY.run

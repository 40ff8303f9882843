"""A variational autoencoder trained on its predecessor's images (Shumailov et al., Nature 2024, released notebook).

Follows the released notebook: the network and schedule of `model_collapse.vae.network`, weights drawn anew in every
generation. There the synthetic set is no set but a stream: every batch is a fresh draw of the last decoder's pixel
means (variant `stream`). Variant `stored` samples a finite set once a generation, which adds the error of finite
sampling; variant `binarised` is a stream of Bernoulli draws instead of means.

A chain has its own generation 0; the released five runs probably shared one. Runs that differ only in what comes after
generation 0, on one kind of processor, share that network, chain by chain: it is trained once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from .. import datasets, device
from ..archive import Record
from ..recursion import Generation, Turn, stream
from ..regimes import Pool, Regime, Source, helpings
from ..runs import Family, NetworkConfig, Study, arms, changes, fitting
from .items import Images, Part
from .measure import CLASSIFIERS, Eye
from .minority import STUDENT_IMAGES, Minority, make_rare
from .network import VAE
from .training import Schedule, decode_means, fit, negative_elbo, weights_of

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "VAELearner", "precision_gaps", "run"]

PROTOCOL = 1
VARIANTS = {
    "stream": "every batch a fresh draw of the last decoder's means, as in the released notebook",
    "stored": "a finite set of means sampled once a generation",
    "binarised": "every batch a fresh Bernoulli draw from the last decoder's means",
}
SHOWN = 30  # images that a record keeps of every generation that is named
AGAIN = ("unsure_share", "class_entropy", "frechet")  # measured through a second classifier too
FEW, MANY = 100, 2000  # generated images that are encoded: as released, and enough for a steady number


@dataclass(frozen=True)
class Config(NetworkConfig):
    """Settings of a run.

    Attributes
    ----------
    images : {"digits", "mnist"}
        Human data: scikit-learn's 8 x 8 digits, or MNIST.
    epochs : int
        Schedule of every generation; where pools grow, an epoch still has the steps of `replace`.
    latent : int
        Dimension of the latent space.
    rare : float
        Share that one class, drawn for every chain, has among the human images; 0 leaves them as they are.
    """

    images: str = "mnist"
    epochs: int = 30
    batch: int = 256
    latent: int = 20
    rare: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_one_of("images", "digits", "mnist")
        self.require(0 <= self.rare < 0.5, f"rare must lie in [0, 0.5), not {self.rare:g}")
        self.require_at_least(1, "epochs", "latent")

    def check(self) -> None:
        super().check()
        streams = self.remedy.startswith("alarm") and self.variant != "stored"
        self.require(not streams, "remedy 'alarm' looks at finite sets of images: take variant 'stored'")


class VAELearner:
    """Train, sample, measure through the encoder of generation 0."""

    def __init__(
        self, config: Config, regime: Regime, data: datasets.ImageSet, n: int, minority: Minority | None = None
    ):
        self.config, self.regime, self.data, self.n, self.minority = config, regime, data, n, minority

    @cached_property
    def compute(self) -> device.Compute:
        return self.config.compute()

    def network(self) -> VAE:
        side = self.data.images.shape[1]
        return VAE(side, self.config.latent, (64, 128) if side >= 16 else (32, 64))

    def prepare(self, source: Source, turn: Turn) -> None:
        """Train the network of generation 0, or read it back: its encoder measures every later generation."""
        self.first = self.config.first_network(
            "vae",
            PROTOCOL,
            turn,
            self.data.card(),
            train=lambda first: self._fit(source.items, first),
            make=lambda: self.network().to(self.compute.device, memory_format=torch.channels_last),
        )

    def fit(self, pool: Pool, turn: Turn) -> VAE:
        return self.first if turn.g == 0 else self._fit(pool.items, turn)

    def sample(self, model: VAE, pool: Pool, turn: Turn) -> Images:
        n = self.regime.needed(self.n)
        if self.config.variant != "stored":
            return Images((Part(n, None, weights_of(model)),))
        means = decode_means(model, n, self.compute.generator(turn.sample), self.compute)
        return Images((Part(n, (means * 255).round().to(torch.uint8).cpu().numpy()),))

    @torch.no_grad()
    def measure(self, model: VAE, synthetic: Images, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (1,), of this chain.

        ``latent_sd``, ``latent_sd_2000``: sd of the posterior means that the encoder of generation 0 gives 100 (as
        released) and 2,000 images of this generation; ``latent_mean``: their mean over the latter; ``negative_elbo``:
        of held-out human images, in nats an image; ``pixel_variance``: mean over pixels of the variance over images.
        See `model_collapse.vae.measure` for what the fixed classifier sees (names with ``_second``: another seed of
        it), and `model_collapse.vae.minority` for a class made rare.
        """
        images = decode_means(model, MANY, self.compute.generator(turn.measure), self.compute)
        latents, _ = self.first.encode(images.unsqueeze(1).contiguous(memory_format=torch.channels_last))
        self.latents = latents[:FEW].cpu().numpy()
        found = {
            "latent_sd": latents[:FEW].std(),
            "latent_sd_2000": latents.std(),
            "latent_mean": latents.mean(),
            "negative_elbo": self._loss(model, turn.measure),
            "pixel_variance": images.var(0).mean(),
        }
        found |= self.eyes[0].measures(images)
        if found.keys() >= set(AGAIN):
            again = self.eyes[1].measures(images)
            found |= {f"{name}_second": again[name] for name in AGAIN}
        if self.minority:
            found |= self._of_minority(model, turn.measure)
        return {name: np.array([float(value)]) for name, value in found.items()}

    def _loss(self, model: VAE, rng: np.random.Generator) -> float:
        return float(negative_elbo(model, self.data.held_out, self.compute.generator(rng), self.compute).mean())

    def _of_minority(self, model: VAE, rng: np.random.Generator) -> dict[str, float]:
        images = decode_means(model, STUDENT_IMAGES, self.compute.generator(rng), self.compute)
        labels = self.eyes[0].labels(images)
        return self.minority.measures((images * 255).round().to(torch.uint8).cpu().numpy(), labels, self.data, rng)

    def plain(self, items: Images) -> list[np.ndarray]:
        """The images of this chain, 8 bit, shape (images, side, side)."""
        return [np.concatenate([part.images for part in items.parts])]

    @cached_property
    def eyes(self) -> tuple[Eye, Eye]:
        """Two fixed classifiers that differ in their seed, and what they see in human images."""
        return Eye(self.data, self.compute, 0), Eye(self.data, self.compute, 1)

    def _fit(self, items: Images, turn: Turn) -> VAE:
        schedule = Schedule(self.config.epochs, self.config.batch)
        binarise = self.config.variant == "binarised"
        options = {"binarise": binarise, "checkpoint": turn.file("fit")}
        with fitting(turn.g):
            return fit(self.network, items, self.n, schedule, turn.fit, self.compute, **options)


def load(config: Config, path: Path | None) -> datasets.ImageSet | None:
    """A person's own images, or the human images of a configuration."""
    if path is not None:
        return datasets.read_images(path)
    return datasets.digits() if config.images == "digits" else datasets.mnist()


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data: datasets.ImageSet
) -> tuple[Source, VAELearner]:
    """The source and the learner of one chain."""
    n = config.pool_size(len(data.images), f"images of {data.name}")
    rng = stream(seed, 0, "source")
    data, minority = _with_minority(config, data, rng)
    order = rng.permutation(len(data.images))
    seen = np.sort(order[:n])
    left = len(order) - n
    config.require_aside(left, "images", "lower n, or take fewer")
    reserve = helpings(data.images[order[n:]], _whole)
    source = Source(_whole(data.images[seen]), n, reserve, "set some aside with a smaller --set n=")
    return source, VAELearner(config, regime, data, n, minority)


def _with_minority(config: Config, data: datasets.ImageSet, rng: np.random.Generator):
    if not config.rare:
        return data, None
    known = data.name in CLASSIFIERS and not data.own
    config.require(known, f"rare needs images whose classes are known to an archived classifier, not {data.name}")
    return make_rare(data, config.rare, rng)


def restore(arrays: dict[str, np.ndarray]) -> Images:
    """Items from the arrays that a resume state keeps."""
    return Images.from_arrays(arrays)


@torch.no_grad()
def keep(learner: VAELearner, generation: Generation) -> dict[str, np.ndarray]:
    """Images from latents that are the same in every generation and run, and posterior means of generated images.

    ``images``: 8 bit, shape (images, side, side); ``latents``: what the encoder of generation 0 gave the 100 images
    that ``latent_sd`` was measured on, shape (100, latent).
    """
    network = generation.model
    where = next(network.parameters()).device
    z = torch.randn(SHOWN, network.latent, generator=torch.Generator().manual_seed(0)).to(where)
    images = (torch.sigmoid(network.decode(z).float()) * 255).round().to(torch.uint8).squeeze(1).cpu().numpy()
    return {"images": images, "latents": learner.latents}


def replay(config: Config, kept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``latent_sd`` of the first chain, computed again from the posterior means that were kept."""
    return {"latent_sd": np.array([[x.std(ddof=1)] for x in kept["latents"]])}


def report(record: Record) -> list[str]:
    """How far the latents' spread fell, what is left of the classes, and what was limited or left out."""
    lines = changes(record, {"latent_sd_2000": "latent sd", "class_entropy": "class entropy, in bits"})
    if "class_entropy" not in record.statistics["metric"].values:
        lines.append("left out, because no archived classifier knows these images: what it would see in them")
    return lines + datasets.remarks(record.manifest)


def precision_gaps(record: Record) -> dict[int, np.ndarray]:
    """By how much the latent spread of bf16 chains of study ``precision`` exceeds that of fp32 chains.

    Returns
    -------
    dict
        By the number of images that were encoded, 100 as released and 2,000: differences of the means over chains, in
        pooled standard deviations over chains, shape (generations,).
    """
    gaps = {}
    for images, metric in ((FEW, "latent_sd"), (MANY, "latent_sd_2000")):
        single, half = (record.summary(metric, f"precision={kind}") for kind in ("fp32", "bf16"))
        sd = np.sqrt((single["sd"] ** 2 + half["sd"] ** 2) / 2)
        gaps[images] = ((half["mean"] - single["mean"]) / sd).to_numpy()
    return gaps


def _whole(images: np.ndarray) -> Images:
    return Images((Part(len(images), images),))


def work(config: Config) -> float:
    """Images that all fits see; a fit on 8 x 8 images costs a tenth of one on 28 x 28."""
    items = config.n or (60_000 if config.images == "mnist" else 1_498)
    return config.chains * (config.generations + 1) * config.epochs * items * (1 if config.images == "mnist" else 0.1)


_EVERY = tuple(range(21))
# `laptop` takes one thread: two runs side by side take a quarter less time than one after the other on two.
PROFILES = {
    "smoke": Config(chains=2, generations=2, images="digits", n=400, epochs=2, batch=100, marks=_EVERY),
    "quick": Config(chains=2, generations=5, images="digits", epochs=30, batch=64, marks=_EVERY),
    "laptop": Config(chains=3, generations=5, epochs=5, marks=_EVERY),
    "paper": Config(chains=5, generations=20, threads=2, marks=_EVERY),
}

# A person's own images: at most so many, so briefly that 10,000 of them take less than three minutes on two cores.
OWN = {"quick": {"chains": 1, "generations": 3, "most": 3000, "epochs": 8}}

# The schedule of these two is theirs at every profile that has MNIST.
_RELEASED = dict.fromkeys(("laptop", "paper"), {"epochs": 30, "generations": 5})
_LONG = dict.fromkeys(("laptop", "paper"), {"epochs": 10, "generations": 20})
# Each precision on its own chains; a fifth of the images, since processors without units for bf16 take long over it.
_PRECISION = dict.fromkeys(("laptop", "paper"), {"chains": 3, "n": 12_000, "epochs": 10, "generations": 2})
# Which digit is rare differs by chain, and with it how soon it goes: three chains leave the fall's interval too wide.
_RARE = {"laptop": {"chains": 10}}
_DIGITS = {"images": "digits", "epochs": 30, "batch": 64, "chains": 6}
STUDIES = {
    "released-replace": Study("replace", "stream", by_profile=_RELEASED),
    "long-replace": Study("replace", "stream", by_profile=_LONG),
    "stream-replace": Study("replace", "stream"),
    "stream-keep10": Study("keep", "stream", settings={"share": 0.1}),
    "stream-augment": Study("augment", "stream"),
    "stream-accumulate": Study("accumulate", "stream"),
    "stream-subsample": Study("accumulate_subsample", "stream"),
    "stored-replace": Study("replace", "stored"),
    "binarised-replace": Study("replace", "binarised"),
    "minority-replace": Study("replace", "stream", settings={"rare": 0.01}, by_profile=_RARE),
    "minority-keep10": Study("keep", "stream", settings={"rare": 0.01, "share": 0.1}),
    "alarm": Study("replace", "stored", {"remedy": "alarm"}, by_profile={"laptop": _DIGITS}),
    "precision": Study("replace", "stream", by_profile=_PRECISION, arms=arms(precision=("fp32", "bf16"))),
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
    report=report,
    own=OWN,
    keep=keep,
    replay=replay,
    work=work,
    pace=9e-4,
    gpu=("paper",),
    archive="laptop",
)
run = FAMILY.run

"""A GAN trained on its predecessor's pictures, with and without sampling bias (after Alemohammad et al., 2307.01850).

The source's loops use StyleGAN2 on faces of 128 x 128 pixels; this is a small network on 32 x 32. Its sampling bias is
the source's: latents are drawn together to their mean by a factor, here before the generator, whose latents have mean
zero. Weights are drawn anew in every generation.

A loop that begins with a poor model says little, so generation 0 has to earn it: where human pictures that were held
out say that its precision or recall, without bias, falls short, the run stops.
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
from ..runs import ConfigError, Family, NetworkConfig, Study, changes, fitting
from .items import Pictures
from .measure import NEIGHBOURS, Gallery, Lens, excess, spectrum
from .network import Generator
from .training import Schedule, Trio, draw, fit, render

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "PictureLearner", "run"]

PROTOCOL = 1
VARIANTS = {
    "unbiased": "latents as they are drawn",
    "truncated": "latents drawn together to their mean by 0.7",
}
BIAS = {"unbiased": {"truncation": 1.0}, "truncated": {"truncation": 0.7}}
SHOWN = 12  # pictures that a record keeps of every generation that is named
AGAIN = ("frechet", "precision", "recall", "feature_distance")  # measured through a second encoder too
KNOWN = "CelebA, first 10,000 faces"  # what the encoders learned from
SIDE = 32  # of a person's own pictures, and of what the encoders take


@dataclass(frozen=True)
class Config(NetworkConfig):
    """Settings of a run.

    Attributes
    ----------
    images : {"faces", "few_faces"}
        Human pictures: CelebA's first 10,000 faces in colour, or the 100 grey ones of LFW that scikit-image carries.
    steps : int
        Steps of each network in every generation, whatever the size of the pool.
    latent : int
        Dimension of the latent space.
    truncation : float
        What latents are multiplied by before pictures are drawn, in (0, 1]; a variant brings it.
    looked_at : int
        Generated pictures that are measured.
    least_precision, least_recall : float
        What generation 0 has to reach without truncation; 0 asks nothing.
    """

    images: str = "faces"
    steps: int = 5000
    batch: int = 64
    latent: int = 64
    truncation: float = 1.0
    looked_at: int = 2000
    least_precision: float = 0.5
    least_recall: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_one_of("images", "faces", "few_faces")
        self.require_at_least(1, "steps", "latent")
        self.require_at_least(2, "batch", "looked_at")
        self.require(0 < self.truncation <= 1, f"truncation must lie in (0, 1], not {self.truncation:g}")
        for name in ("least_precision", "least_recall"):
            self.require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], not {getattr(self, name):g}")


class PictureLearner:
    """Train two networks against each other, draw from the one, look at what it draws."""

    def __init__(self, config: Config, regime: Regime, data: datasets.ImageSet, learned: np.ndarray):
        self.config, self.regime, self.data, self.learned = config, regime, data, learned

    @cached_property
    def compute(self) -> device.Compute:
        return self.config.compute()

    def networks(self) -> Trio:
        _, side, _, channels = self.data.images.shape
        return Trio(side, channels, self.config.latent)

    def prepare(self, source: Source, turn: Turn) -> None:
        """Train the generator of generation 0, or read it back, and see whether it is fit for a loop."""
        later = ("truncation", "looked_at", "least_precision", "least_recall")
        self.first = self.config.first_network(
            "gan",
            PROTOCOL,
            turn,
            self.data.card(),
            train=lambda first: self._fit(source.items, first),
            make=lambda: self.networks().average.to(self.compute.device, memory_format=torch.channels_last),
            later=later,
        )
        if self.lenses and (self.config.least_precision or self.config.least_recall):
            rng = stream(turn.seed, 0, "measure")
            found = self.lenses[0].measures(
                draw(self.first, self.config.looked_at, 1.0, self.compute.generator(rng), self.compute)
            )
            for name, least in (("precision", self.config.least_precision), ("recall", self.config.least_recall)):
                if found[name] < least:
                    human = self.lenses[0].among_humans[f"{name}_human"]
                    raise ConfigError(
                        f"generation 0 has a {name} of {found[name]:.2f}, short of {least:g} (human pictures have "
                        f"{human:.2f}): train longer with --set steps=, or ask less with --set least_{name}="
                    )

    def fit(self, pool: Pool, turn: Turn) -> Generator:
        return self.first if turn.g == 0 else self._fit(pool.items, turn)

    def sample(self, model: Generator, pool: Pool, turn: Turn) -> Pictures:
        return Pictures(self._draw(model, self.regime.needed(len(self.learned)), turn.sample))

    def measure(self, model: Generator, synthetic: Pictures, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (1,), of this chain: `Gallery.measures`, and for 32 x 32 pixels `Lens.measures`.

        Names with ``_second`` come from an encoder with another seed, names with ``_human`` from human pictures held
        against others.
        """
        images = self._draw(model, self.config.looked_at, turn.measure)
        self.seen = images
        found = self.gallery.measures(images)
        if self.lenses:
            first, second = (lens.measures(images) for lens in self.lenses)
            found |= first | {f"{name}_second": second[name] for name in AGAIN} | self.lenses[0].among_humans
        return {name: np.array([float(value)]) for name, value in found.items()}

    @cached_property
    def lenses(self) -> tuple[Lens, ...]:
        """Two fixed encoders that differ in their seed; none where pictures are too small for them, or too few."""
        few = min(len(self.data.images), len(self.data.held_out), self.config.looked_at)
        if self.data.images.shape[1] != SIDE or few <= NEIGHBOURS:
            return ()
        return tuple(Lens(self.data, self.compute, seed) for seed in (0, 1))

    @cached_property
    def gallery(self) -> Gallery:
        return Gallery(self.data, self.learned)

    def _draw(self, model: Generator, n: int, rng: np.random.Generator) -> np.ndarray:
        return draw(model, n, self.config.truncation, self.compute.generator(rng), self.compute)

    def _fit(self, items: Pictures, turn: Turn) -> Generator:
        schedule = Schedule(self.config.steps, self.config.batch)
        checkpoint = turn.file("fit")
        with fitting(turn.g):
            return fit(self.networks, items.images, schedule, turn.fit, self.compute, checkpoint=checkpoint)


def load(config: Config, path: Path | None) -> datasets.ImageSet | None:
    """A person's own pictures, or the human pictures of a configuration."""
    if path is not None:
        return datasets.read_images(path, SIDE, colours=True)
    return datasets.faces() if config.images == "faces" else datasets.few_faces()


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data: datasets.ImageSet
) -> tuple[Source, PictureLearner]:
    """The source and the learner of one chain."""
    n = config.pool_size(len(data.images), f"pictures of {data.name}")
    config.require(n >= config.batch, f"{n} pictures are fewer than a batch of {config.batch}: --set batch={n}")
    order = stream(seed, 0, "source").permutation(len(data.images))
    rest = data.images[order[n:]]
    config.require_aside(len(rest), "pictures", "lower n, or take fewer")

    items = Pictures(data.images[np.sort(order[:n])])
    source = Source(items, n, helpings(rest, Pictures), "set some aside with a smaller --set n=")
    return source, PictureLearner(config, regime, data, items.images)


def restore(arrays: dict[str, np.ndarray]) -> Pictures:
    """Items from the arrays that a resume state keeps."""
    return Pictures.from_arrays(arrays)


def keep(learner: PictureLearner, generation: Generation) -> dict[str, np.ndarray]:
    """Pictures from latents that are the same in every generation and run, their average, and the spectrum.

    ``images``: 8 bit, shape (12, side, side, channels), of truncated latents as the run has it, blank where one lies
    too near to a human picture (`Gallery.too_near`); ``average``: mean of the pictures that were measured, 8 bit, blank
    where most of them do, for the mean of copies is the copied picture. ``left_out``: how many are blank. ``power``,
    ``human_power``: see `model_collapse.gan.measure.spectrum`.
    """
    network = generation.model
    z = torch.randn(SHOWN, network.latent, generator=torch.Generator().manual_seed(0))
    where = next(network.parameters()).device
    images = render(network, learner.config.truncation * z.to(where), learner.compute)
    near = learner.gallery.too_near(images)
    images[near] = 0
    average = learner.seen.mean(axis=0).round().astype(np.uint8)
    if same := generation.metrics["too_near"][0] > 0.5:
        average[:] = 0
    powers = {"power": spectrum(learner.seen), "human_power": learner.gallery.human}
    return {"images": images, "left_out": np.array(near.sum() + same), "average": average} | powers


def replay(config: Config, kept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``spectral_excess`` of the first chain, computed again from the spectra that were kept."""
    both = zip(kept["power"], kept["human_power"], strict=True)
    return {"spectral_excess": np.array([[excess(*powers)] for powers in both])}


def report(record: Record) -> list[str]:
    """How quality and diversity went, and what was limited, left out or done to a person's pictures."""
    said = record.manifest
    named = {
        "frechet": "Fréchet distance",
        "precision": "precision",
        "recall": "recall",
        "feature_distance": "distance between two pictures, in features",
        "pixel_distance": "distance between two pictures, in pixels",
        "spectral_excess": "power of ten of high frequencies beyond human pictures'",
    }
    lines = changes(record, named)
    if "frechet" not in set(record.statistics["metric"]):
        lines.append("left out, because the encoder takes 32 x 32 pixels and enough of them: what it would see")
    elif said["data"]["name"] != KNOWN:
        lines.append(
            "features are those of a network that has seen faces alone; on other pictures they are a rough guide"
        )
    return lines + datasets.remarks(said)


def work(config: Config) -> float:
    """Pictures that all fits see; one of 24 x 24 grey pixels costs half of one of 32 x 32 in colour."""
    size = 1.0 if config.images == "faces" else 0.5
    return config.chains * (config.generations + 1) * config.steps * config.batch * size


_EVERY = tuple(range(10))
_FREELY = {"least_precision": 0.0, "least_recall": 0.0}  # too few pictures for such measures
PROFILES = {
    "smoke": Config(
        chains=2, generations=2, images="few_faces", steps=10, batch=16, looked_at=100, marks=_EVERY, **_FREELY
    ),
    "quick": Config(
        chains=1, generations=3, images="few_faces", steps=300, batch=32, looked_at=500, marks=_EVERY, **_FREELY
    ),
    # On two threads a step is hardly faster than on one: two chains at once use two cores better.
    "laptop": Config(chains=3, generations=5, n=4000, steps=3500, marks=_EVERY),
    "paper": Config(chains=3, generations=9, n=4000, steps=20_000, threads=2, marks=_EVERY),
}

OWN = {"quick": {"steps": 400, "most": 20_000}}  # a person's own pictures
# What is set aside lasts to the last generation; no verdict reads it, so one chain has to do on two cores.
_FRESH = {
    "smoke": {"n": 40, "n_real": 8, "n_synthetic": 32},
    "quick": {"n": 48, "n_real": 10, "n_synthetic": 38},
    "laptop": {"chains": 1, "n_real": 800, "n_synthetic": 3200},
    "paper": {"n_real": 400, "n_synthetic": 3600},
}
STUDIES = {
    "replace-unbiased": Study("replace", "unbiased"),
    "replace-truncated": Study("replace", "truncated"),
    "augment-unbiased": Study("augment", "unbiased"),
    "accumulate-unbiased": Study("accumulate", "unbiased"),
    "fresh-unbiased": Study("fresh", "unbiased", by_profile=_FRESH),
}

FAMILY = Family(
    "gan",
    Config,
    PROFILES,
    STUDIES,
    VARIANTS,
    PROTOCOL,
    build,
    restore,
    default_variant="unbiased",
    by_variant=BIAS,
    load=load,
    report=report,
    own=OWN,
    keep=keep,
    replay=replay,
    work=work,
    pace=2e-3,
    gpu=("paper",),
    archive="laptop",
)
run = FAMILY.run

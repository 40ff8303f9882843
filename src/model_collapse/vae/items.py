"""What a VAE learns from: finite sets of images, and decoders that are endless streams of them.

Every item of a pool comes from one of its parts. A finite part holds images; a stream holds the weights of a decoder,
from which images are drawn anew whenever they are needed, so nothing is lost by drawing a finite sample. A part's
`count` is its weight in the pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Images", "Part"]


@dataclass(frozen=True)
class Part:
    """`count` items: images of shape (count, side, side), 8 bit, or, where there are none, whatever a decoder gives."""

    count: int
    images: np.ndarray | None = None
    decoder: Mapping[str, np.ndarray] | None = None

    def take(self, n: int, rng: np.random.Generator) -> Part:
        """`n` of the items: different ones of a finite part, fresh ones of a stream."""
        if n > self.count:
            raise ValueError(f"cannot take {n} different items of {self.count}")
        if self.images is None:
            return Part(n, None, self.decoder)
        return Part(n, self.images[np.sort(rng.choice(self.count, n, replace=False))])


@dataclass(frozen=True)
class Images:
    """The items of one chain, part by part."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        return sum(part.count for part in self.parts)

    @property
    def finite(self) -> bool:
        """Whether every item is an image that stays the same."""
        return all(part.images is not None for part in self.parts)

    def take(self, n: int, rng: np.random.Generator) -> Images:
        """`n` items without replacement."""
        return self.subsample([self], n, rng)[0]

    @classmethod
    def merge(cls, sets: Sequence[Images]) -> Images:
        return cls(tuple(part for some in sets for part in some.parts))

    @classmethod
    def subsample(cls, sets: Sequence[Images], n: int, rng: np.random.Generator) -> tuple[Images, np.ndarray]:
        """`n` items drawn without replacement from the union of the sets, and how many each gave, shape (1, sets)."""
        parts = [(k, part) for k, some in enumerate(sets) for part in some.parts]
        shares = rng.multivariate_hypergeometric([part.count for _, part in parts], n, method="marginals")
        taken = tuple(part.take(int(m), rng) for (_, part), m in zip(parts, shares, strict=True) if m)
        counts = np.bincount([k for k, _ in parts], weights=shares, minlength=len(sets)).astype(int)
        return cls(taken), counts[None]

    def arrays(self) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for k, part in enumerate(self.parts):
            found[f"{k}/count"] = np.array(part.count)
            found |= {} if part.images is None else {f"{k}/images": part.images}
            found |= {f"{k}/decoder/{name}": x for name, x in (part.decoder or {}).items()}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Images:
        parts = []
        for k in range(sum(name.endswith("/count") for name in arrays)):
            prefix = f"{k}/decoder/"
            decoder = {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}
            parts.append(Part(int(arrays[f"{k}/count"]), arrays.get(f"{k}/images"), decoder or None))
        return cls(tuple(parts))

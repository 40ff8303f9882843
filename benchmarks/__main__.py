"""Run every benchmark, print its ratio beside its bar, and store the results.

Theirs and ours alternate within one run, so that whatever else the machine does hits both; medians are kept.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_collapse import device

from . import accumulate_memory, gan_step, gaussian_chains, gmm_fit, llm_steps, matrix_rate, vae_epoch

RESULTS = Path(__file__).parents[1] / "data" / "results" / "benchmarks"
REPEATS = 5


@dataclass(frozen=True)
class Benchmark:
    """Two ways of doing one thing.

    Attributes
    ----------
    ours, theirs : callable
        Each returns one measurement in `unit`.
    bar : float
        What theirs / ours must reach.
    at_most : float
        What ours itself must not pass.
    threads : int
        Threads of ours.
    also : callable or None
        ``also(ours)`` gives what else is worth knowing of our measurement.
    profiled : bool
        Whether to tell which of torch's operators take the time of ours.
    """

    name: str
    what: str
    unit: str
    ours: Callable[[], float]
    theirs: Callable[[], float]
    bar: float
    at_most: float = float("inf")
    threads: int = 1
    also: Callable[[float], dict] | None = None
    profiled: bool = False

    def met(self, result: dict) -> bool:
        return result["ratio"] >= self.bar and result["ours"] <= self.at_most

    def run(self) -> dict:
        pairs = [(self.theirs(), self.ours()) for _ in range(REPEATS)]
        theirs, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        also = self.also(ours) if self.also else {}
        also |= {"operators": matrix_rate.operators(self.ours)} if self.profiled else {}
        return {
            "name": self.name,
            "what": self.what,
            "ours": ours,
            "theirs": theirs,
            "ratio": theirs / ours,
            "bar": self.bar,
            "unit": self.unit,
            "repeats": REPEATS,
            "all": [{"theirs": t, "ours": o} for t, o in pairs],
            "machine": device.machine(self.threads),
            "load": device.load_average(),
        } | ({"also": also} if also else {})


BENCHMARKS = [
    Benchmark(
        "gaussian-chains",
        "10,000 chains of 1,000 generations, d = 1, M = 100, replace, against a numpy loop per chain",
        "ns per chain and generation",
        gaussian_chains.ours,
        gaussian_chains.theirs,
        bar=100,
    ),
    Benchmark(
        "accumulate-memory",
        "growth of the peak memory of accumulate from 100 to 1,000 generations, against a pool kept in a list",
        "peak at 1,000 generations over peak at 100",
        accumulate_memory.ours,
        accumulate_memory.theirs,
        bar=5,
        at_most=1.01,
    ),
    Benchmark(
        "gmm-fit",
        "50 chains of 200 generations, N = 1000, k-means start, against one thread of scikit-learn in a loop",
        "ms per chain and generation",
        gmm_fit.from_scratch,
        gmm_fit.released,
        bar=20,
        threads=os.cpu_count() or 1,
    ),
    Benchmark(
        "gmm-fit-warm",
        "the same with EM beginning at the last parameters, against the loop as released",
        "ms per chain and generation",
        gmm_fit.from_the_last,
        gmm_fit.released,
        bar=60,
        threads=os.cpu_count() or 1,
    ),
    Benchmark(
        "vae-epoch",
        "one epoch of the VAE on a stream of 28 x 28 images, batch 256, against the released loop's structure",
        "ms per batch",
        vae_epoch.ours,
        vae_epoch.theirs,
        bar=vae_epoch.bar(),
        threads=vae_epoch.THREADS,
        also=vae_epoch.also,
        profiled=True,
    ),
    Benchmark(
        "llm-beam",
        "64 tokens after 128 prompts of 64 by five beams, against model.generate",
        "µs per token",
        llm_steps.our_beams,
        llm_steps.their_beams,
        bar=4,
        threads=llm_steps.THREADS,
        also=llm_steps.equal_rows,
        profiled=True,
    ),
    Benchmark(
        "llm-sample",
        "the same by sampling at temperature 1",
        "µs per token",
        llm_steps.our_samples,
        llm_steps.their_samples,
        bar=3,
        threads=llm_steps.THREADS,
        profiled=True,
    ),
    Benchmark(
        "llm-train",
        "one epoch of 8 steps of 128 blocks of 64 tokens, against the transformers Trainer",
        "µs per token",
        llm_steps.our_steps,
        llm_steps.their_steps,
        bar=1.3,
        threads=llm_steps.THREADS,
        also=llm_steps.rate,
        profiled=True,
    ),
    Benchmark(
        "gan-step",
        "one step of both networks of the GAN on 64 colour pictures of 32 x 32 pixels, against fp32 in default layout",
        "ms per step",
        gan_step.ours,
        gan_step.theirs,
        bar=gan_step.bar(),
        threads=gan_step.THREADS,
        also=gan_step.also,
        profiled=True,
    ),
]


def main() -> None:
    wanted = set(sys.argv[1:])
    missed = []
    for benchmark in BENCHMARKS:
        if wanted and benchmark.name not in wanted:
            continue
        result = benchmark.run()
        RESULTS.mkdir(parents=True, exist_ok=True)
        precision = result.get("also", {}).get("precision")  # where bars depend on it, each has its own file
        named = f"{benchmark.name}-{precision}" if precision else benchmark.name
        (RESULTS / f"{named}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        met = benchmark.met(result)
        missed += [] if met else [benchmark.name]
        print(
            f"{benchmark.name}: theirs {result['theirs']:.4g}, ours {result['ours']:.4g} {benchmark.unit}; "
            f"ratio {result['ratio']:.1f}, bar {benchmark.bar:g}: {'met' if met else 'MISSED'} (load {result['load']})"
        )
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()

"""Rules of images: VAE (Shumailov et al., Nature 2024, released notebook) and GAN (Alemohammad et al., 2307.01850).

Each chain has its own generation 0, which runs of one seed share chain by chain; where such runs are compared as if
they were independent, the interval is rather too wide than too narrow.

Records, by study, and the metrics read from them:

vae/``released-replace``, ``long-replace``, ``stream-replace``
    pool drawn on the fly from the last decoder, as released, with the released 30 epochs, with fewer to g = 20, and as
    the control of the other regimes. ``latent_sd``: sd of the generation-0 encoder's posterior means over 100 images of
    generation g; ``unsure_share``: share of images that a fixed classifier gives less than 0.9 for any class.
vae/``stream-keep10``, ``stream-accumulate``
    the control with 10 % human images kept, and on all data so far, at equal optimiser steps; ``latent_sd``.
vae/``minority-replace``
    one class, drawn for every chain, is 1 % of the human images. ``minority_recall``, ``accuracy``: of a classifier
    trained on images of generation g, on human images of the same make-up.
gan/``replace-unbiased``, ``replace-truncated``, ``augment-unbiased``, ``accumulate-unbiased``
    lambda = 1, lambda = 0.7, all human images + the last sample, and all samples so far. ``frechet``, ``precision``,
    ``recall``; ``spectral_excess``: power of the samples' spectrum beyond human images'; ``feature_distance``: mean
    pairwise distance of features.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from model_collapse.archive import Record

from .claim import Finding, NoVerdict, Records, grade
from .comparisons import absolute_changes, harmless, mitigated
from .intervals import (
    change,
    estimate,
    interval,
    minus,
    number,
    percent,
    ratio_over_generations,
    relative_change,
    shared_generations,
    slope,
    span,
)

__all__ = ["m1", "m2", "m3", "p_c", "p_f", "p_g_vae", "p_h_faces", "p_h_vae", "p_j", "v1", "v2"]

# sd of the generation-0 encoder's latent means, g = 1 … 5: mean and sd over the five runs saved in the notebook.
RELEASED_LATENT_SD = {1: (0.688, 0.011), 2: (0.603, 0.006), 3: (0.534, 0.012), 4: (0.483, 0.009), 5: (0.443, 0.018)}
RELEASED_RUNS = 5
POOLED_SDS = 2.0
BLENDED_AT, BLENDED = 20, 1.5
FEWEST_GENERATIONS = 5
ARTEFACT_SDS, ARTEFACT_AT = 3.0, 2
HOMOGENEOUS, BY = 0.20, 5
CLASS_FALL, OVERALL_FALL = -0.50, -0.05


def v1(records: Records) -> Finding:
    """Latent sd at g = 1 … 5 within two pooled sd (theirs and ours) of the released means; partly: a monotone fall."""
    run = records["run"]
    rows = {g: estimate(run, "latent_sd", g) for g in RELEASED_LATENT_SD}
    off = max(_pooled_distance(run.at("latent_sd", g), *released) for g, released in RELEASED_LATENT_SD.items())
    means = [e.mean for e in rows.values()]
    falls = all(a > b for a, b in zip(means, means[1:], strict=False))
    return Finding(
        grade(off <= POOLED_SDS, falls),
        ", ".join(f"{m:.3f}" for m in means),
        means[-1],
        interval(rows[max(rows)]),
        min(e.count for e in rows.values()),
        f"Latent sd at g = 1 … 5 against the released means; the largest distance is {number(off)} pooled sd.",
    )


def _pooled_distance(row: pd.Series, mean: float, sd: float) -> float:
    ours = row["count"] - 1
    theirs = RELEASED_RUNS - 1
    pooled = np.sqrt((ours * row["sd"] ** 2 + theirs * sd**2) / (ours + theirs))
    return abs(row["mean"] - mean) / pooled


def v2(records: Records) -> Finding:
    """Share of images without a confident class, g = 20 over g = 0: interval above 1.5; partly: above 1."""
    value, bounds, chains = ratio_over_generations(records["run"], "unsure_share", 0, BLENDED_AT)
    return Finding(
        grade(bounds[0] > BLENDED, bounds[0] > 1),
        f"{number(value)} times ({span(bounds)})",
        value,
        bounds,
        chains,
        f"Share of images below 0.9 confidence at g = {BLENDED_AT} over that at g = 0, held against {BLENDED} and 1.",
    )


def m1(records: Records) -> Finding:
    """Slopes at lambda = 1: Fréchet distance up, precision down, recall down; partly: recall and one more."""
    run = records["run"]
    kept = _long_enough(run)
    found = {name: slope(run, name, kept) for name in ("frechet", "precision", "recall")}
    bounds = {name: interval(e) for name, e in found.items()}
    up, precision, recall = bounds["frechet"][0] > 0, bounds["precision"][1] < 0, bounds["recall"][1] < 0
    return Finding(
        grade(up and precision and recall, recall and (up or precision)),
        ", ".join(f"{name} {number(found[name].mean)} ({span(bounds[name])})" for name in found),
        found["recall"].mean,
        bounds["recall"],
        min(e.count for e in found.values()),
        f"Slopes per generation to g = {kept[-1]}, each held against 0.",
    )


def m2(records: Records) -> Finding:
    """At lambda = 0.7 precision's slope has an interval from 0 up, recall's is steeper than at 1; partly: the second.

    Slopes over the generations that both runs keep; steeper: the Welch interval of the difference lies below 0.
    """
    free, cut = records["unbiased"], records["truncated"]
    kept = _long_enough(free, cut)
    precision = slope(cut, "precision", kept)
    steeper = minus(slope(cut, "recall", kept), slope(free, "recall", kept))
    bounds = interval(steeper)
    holds, faster = interval(precision)[0] >= 0, bounds[1] < 0
    return Finding(
        grade(holds and faster, faster),
        f"precision {number(precision.mean)} ({span(interval(precision))}), "
        f"recall {number(steeper.mean)} ({span(bounds)}) against lambda = 1",
        steeper.mean,
        bounds,
        min(precision.count, steeper.count),
        f"Slopes to g = {kept[-1]}: precision at lambda = 0.7 against 0, recall against that at lambda = 1.",
    )


def m3(records: Records) -> Finding:
    """Slope of the Fréchet distance with all human images kept: above 0 and below replace's; partly: below only."""
    kept = _long_enough(records["augment"], records["replace"])
    ours = slope(records["augment"], "frechet", kept)
    below = interval(minus(ours, slope(records["replace"], "frechet", kept)))[1] < 0
    bounds = interval(ours)
    return Finding(
        grade(bounds[0] > 0 and below, below),
        f"{number(ours.mean)} ({span(bounds)}) per generation",
        ours.mean,
        bounds,
        ours.count,
        f"Slope of the Fréchet distance to g = {kept[-1]} under augment, against 0 and against replace's.",
    )


def _long_enough(*runs: Record) -> list[int]:
    """Generations the runs share; raises `NoVerdict` for fewer than five turns of the loop."""
    kept = shared_generations(*runs)
    if kept[-1] < FEWEST_GENERATIONS:
        raise NoVerdict(f"{kept[-1]} generations; a slope is read over at least {FEWEST_GENERATIONS}")
    return kept


def p_c(records: Records) -> Finding:
    """Spectral excess at g = 2 above that at g = 0 by more than 3 sd of the g = 0 chains; partly: by g = 5."""
    run = records["run"]
    first = estimate(run, "spectral_excess", 0)
    sd = max(first.se * np.sqrt(first.count), np.finfo(np.float32).tiny)
    found = {g: estimate(run, "spectral_excess", g) for g in range(ARTEFACT_AT, BY + 1)}
    steps = {g: float((e.mean - first.mean) / sd) for g, e in found.items()}
    return Finding(
        grade(steps[ARTEFACT_AT] > ARTEFACT_SDS, max(steps.values()) > ARTEFACT_SDS),
        f"{number(steps[ARTEFACT_AT])} sd at g = {ARTEFACT_AT}, at most {number(max(steps.values()))} by g = {BY}",
        steps[ARTEFACT_AT],
        None,
        min(e.count for e in (first, *found.values())),
        f"Rise of the spectral excess over g = 0, in sd of the chains at g = 0, held against {ARTEFACT_SDS:g}.",
    )


def p_f(records: Records) -> Finding:
    """Feature distance at lambda = 0.7 down 20 % by g = 5, precision's slope interval from 0 up; partly: down.

    Both verdicts also want the interval of the fall below 0: a fall within the noise of the chains is none.
    """
    run = records["truncated"]
    fall = relative_change(run, "feature_distance", 0, BY)
    precision = interval(slope(run, "precision", [g for g in run.generations if g <= BY]))
    bounds = interval(fall)
    return Finding(
        grade(fall.mean <= -HOMOGENEOUS and bounds[1] < 0 and precision[0] >= 0, bounds[1] < 0),
        f"{percent(fall.mean)} ({span(bounds, 100)} %), precision's slope {span(precision)}",
        fall.mean,
        bounds,
        fall.count,
        f"Relative change of the mean pairwise feature distance to g = {BY}, held against -{percent(HOMOGENEOUS)}.",
    )


def p_g_vae(records: Records) -> Finding:
    """Fall of the latent sd under keep 10 % over that under replace: interval below 0.5; partly: below 1."""
    return mitigated(*_to_the_end(records["keep"], records["replace"], "latent_sd"), what="the latent sd", worse=-1)


def p_h_vae(records: Records) -> Finding:
    """Fall of the latent sd under accumulate: none; partly: less than half of replace's."""
    changes = _to_the_end(records["accumulate"], records["replace"], "latent_sd")
    return harmless(*changes, what="the latent sd", worse=-1)


def p_h_faces(records: Records) -> Finding:
    """Rise of the Fréchet distance under accumulate: none; partly: less than half of replace's."""
    changes = _to_the_end(records["accumulate"], records["replace"], "frechet")
    return harmless(*changes, what="the Fréchet distance", worse=+1)


def _to_the_end(a: Record, b: Record, metric: str):
    return absolute_changes(a, b, metric, shared_generations(a, b)[-1])


def p_j(records: Records) -> Finding:
    """Some g in 1 … 5 has the 1 % class down by half while overall accuracy lost at most 5 %; partly: it falls first.

    Falls first: its change from g = 0 has an interval below 0 at an earlier generation than that of the accuracy.
    """
    run = records["run"]
    kept = [g for g in run.generations if 1 <= g <= BY]
    rare, overall = (_relative(run, name, kept) for name in ("minority_recall", "accuracy"))
    hidden = [g for g in kept if rare[g] <= CLASS_FALL and overall[g] >= OVERALL_FALL]
    fell = [_first_fall(run, name, kept) for name in ("minority_recall", "accuracy")]
    shown = hidden[0] if hidden else kept[-1]
    return Finding(
        grade(bool(hidden), fell[0] < fell[1]),
        f"class {percent(rare[shown])}, overall {percent(overall[shown])} at g = {shown}",
        rare[shown],
        None,
        min(estimate(run, name, shown).count for name in ("minority_recall", "accuracy")),
        "Relative change of the 1 % class's recall and of overall accuracy since g = 0, g = 1 … 5.",
    )


def _relative(run: Record, metric: str, generations: list[int]) -> dict[int, float]:
    first = estimate(run, metric, 0).mean
    if first == 0:
        raise NoVerdict(f"{metric} is 0 at g = 0 already")
    return {g: estimate(run, metric, g).mean / first - 1 for g in generations}


def _first_fall(run: Record, metric: str, generations: list[int]) -> float:
    return next((g for g in generations if interval(change(run, metric, 0, g))[1] < 0), float("inf"))

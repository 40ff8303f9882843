"""The claims: every rule reaches every verdict it can give, and the scorecard survives whatever it is handed."""

import importlib
import json
import shutil
import sys
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from model_collapse import claims
from model_collapse.archive import ArchiveError, Record, save_record, summarise
from model_collapse.claims import (
    CLAIMS,
    NO_VERDICT,
    NOT_REPLICATED,
    NOT_TESTABLE,
    NOT_YET,
    PARTLY,
    REPLICATED,
    SOURCE_ONLY,
    Finding,
    NoVerdict,
    rule_hash,
    rules_in_force,
    scorecard,
)
from model_collapse.claims import intervals as iv
from model_collapse.expectations import expected_w2_squared, expected_w2_squared_limit, typical_variance

BY_ID = MappingProxyType({claim.id: claim for claim in CLAIMS})
R, P, N = REPLICATED, PARTLY, NOT_REPLICATED


# --- made-up records -------------------------------------------------------------------------------------------------


def run(metrics, *, sd=0.01, chains=8, count=None, rules=None, **config):
    """A record of one arm from {metric: {g: mean, or one value per chain}}."""
    return sweep({"": ({}, metrics)}, sd=sd, chains=chains, count=count, rules=rules, **config)


def sweep(arms, *, sd=0.01, chains=8, count=None, rules=None, **config):
    """A record from {label: (settings, metrics)}; `count` claims more chains than are kept."""
    rng = np.random.default_rng(7)
    kept, summary = [], []
    for arm, (_, metrics) in arms.items():
        for metric, by_generation in metrics.items():
            for g, value in by_generation.items():
                values = np.asarray(value, dtype=float) if np.ndim(value) else value + sd * _noise(rng, chains)
                place = {"arm": arm, "generation": g, "metric": metric}
                kept += [{**place, "chain": c, "value": v} for c, v in enumerate(values)]
                summary.append({**place, **summarise(values), **({"count": count} if count else {})})
    manifest = {
        "profile": "paper",
        "config": next(iter(arms.values()))[0] | config,  # a configuration names every field that arms sweep
        "arms": [{"label": label, "settings": settings} for label, (settings, _) in arms.items()],
        "rules": rules or {},
    }
    return Record(manifest, pd.DataFrame(kept), pd.DataFrame(summary))


def _noise(rng, chains):
    """Deviates with mean 0 and sd 1 exactly (for more than one chain)."""
    x = rng.standard_normal(chains)
    x = x - x.mean()
    return x / x.std(ddof=1) if chains > 1 else x


def line(start, step, last):
    """A straight line over g = 0 … last."""
    return {g: start + step * g for g in range(last + 1)}


# --- the theory ------------------------------------------------------------------------------------------------------


def absorbed(shares, left=0.0, count=10_000):
    metrics = {f"frequency_{k}": {99: share} for k, share in enumerate(shares)} | {"absorbed": {99: 1 - left}}
    return {"run": run(metrics, sd=0, count=count, probabilities=[0.5, 0.3, 0.2], n=100)}


def collapsing(scale=1.0, spread=0.1, final=None, extra=None):
    """Variance along its typical path (times `scale` from g = 9 on) with a symmetric spread of its logarithm."""
    z = np.linspace(-2, 2, 201)
    kept = np.array([0, 9, 99, 499, 999, 2499, 9999])
    path = dict(zip(kept.tolist(), typical_variance(kept + 1, 100), strict=True))
    variance = {g: v * (scale if g else 1.0) * np.exp(spread * z) for g, v in path.items()}
    if final is not None:
        variance[9999] = np.full(201, final)
    vanished = {g: (values < 0.01).astype(float) for g, values in variance.items()}
    return run({"variance": variance, "vanished": vanished} | (extra or {}), n=100)


STAYS = {"scale": 1e30, "final": 1.5}
W2 = expected_w2_squared(np.full(100, 100))
RELEASED = claims.rules_theory.RELEASED_SD


def one_shot(exponent=-0.5, factor=1.0):
    noise = _noise(np.random.default_rng(1), 50)
    arms = {f"n={n}": ({"n": n}, {"sd": {0: 1 + factor * s * (n / 1000) ** (exponent + 0.5) * noise}})
            for n, s in RELEASED.items()}  # fmt: skip
    return {"run": sweep(arms)}


def growing(offset=0.0, constant=1.0):
    limit = expected_w2_squared_limit(100, 1.5)
    grown = run({"w2_squared": {9999: limit + offset}}, sd=0.02, count=10_000, n=100, growth=1.5)
    return {"superlinear": grown, "replace": run({"w2_squared": {9999: constant}}, sd=0.02, count=10_000, n=100)}


def three_regimes(replace, subsample, accumulate, sd=0.02):
    named = {"replace": replace, "subsample": subsample, "accumulate": accumulate}
    return {name: run({"mean_error": means}, sd=sd, chains=100, n=100) for name, means in named.items()}


def sparse(records):
    """The same regimes as records that keep different generations."""

    def thin(record, step):
        kept = [g for g in record.generations if g % step == 0 or g == 100]
        tables = (table[table["generation"].isin(kept)] for table in (record.metrics, record.statistics))
        return Record(record.manifest, *tables)

    return {name: thin(record, step) for (name, record), step in zip(records.items(), (7, 1, 11), strict=True)}


def bounded(error):
    return run({"mean_error": {999: error}}, sd=0.002, count=10_000, n=100)


def lost(single, common):
    return {"replace": run({"lost_1": {5: single}, "lost_5plus": {5: common}})}


def w2_change(accumulate, replace):
    return {name: run({"w2_squared": {0: 0.015, 999: 0.015 + rise}}, sd=0.02, count=10_000)
            for name, rise in (("accumulate", accumulate), ("replace", replace))}  # fmt: skip


THEORY = {
    "T1": {R: absorbed([0.502, 0.297, 0.201]), N: absorbed([0.6, 0.2, 0.2])},
    "T2": {
        R: {"replace": collapsing()},
        P: {"replace": collapsing(scale=0.5)},
        N: {"replace": collapsing(**STAYS)},
    },
    "T3": {
        R: {"replace": run({"w2_squared": {9: W2[9], 99: W2[99]}}, count=10_000, n=100)},
        P: {"replace": run({"w2_squared": {9: W2[9] * 0.93, 99: W2[99]}}, sd=0.5, count=10_000, n=100)},
        N: {"replace": run({"w2_squared": {9: 0.15, 99: 1.0}}, count=10_000, n=100)},
    },
    "T4": {
        R: {"replace": run({"second_moment": {9: 1.1, 24: 1.25, 49: 1.5, 99: 2.0}}, count=10_000, n=100)},
        N: {"replace": run({"second_moment": {9: 1.1, 24: 1.25, 49: 1.5, 99: 1.0}}, count=10_000, n=100)},
    },
    "T5": {R: one_shot(), P: one_shot(factor=1.2), N: one_shot(exponent=-0.4)},
    "T6": {R: growing(), N: growing(constant=0.1)},
    "A4": {
        R: three_regimes(line(0.01, 0.01, 100), dict.fromkeys(range(101), 0.1), dict.fromkeys(range(101), 0.02)),
        P: three_regimes(line(0.01, 0.01, 100), line(0.01, 0.005, 100), dict.fromkeys(range(101), 0.02)),
        N: three_regimes(line(0.01, 0.01, 100), dict.fromkeys(range(101), 0.01), dict.fromkeys(range(101), 0.02)),
    },
    "P-b.theory": {R: lost(0.99, 0.97), P: lost(0.96, 0.2), N: lost(0.73, 0.1)},
    "P-h.theory": {R: w2_change(0.0, 10.0), P: w2_change(0.01, 10.0), N: w2_change(0.01, 0.01)},
    "P-i": {
        R: {"replace": collapsing(), "accumulate": bounded(0.01644)},
        P: {"replace": collapsing(), "accumulate": bounded(0.02)},
        N: {"replace": collapsing(**STAYS), "accumulate": bounded(0.02)},
    },
}

# --- regression and fresh data ---------------------------------------------------------------------------------------

LINEAR = {"d": 10, "n": 100, "sigma": 1.0}
UNIT = 10 / 89


def errors(step, count=1000, sd=1e-4):
    means = {g: step * (g + 1) for g in (0, 9, 99, 499, 999)}
    return {"replace": run({"test_error": means}, sd=sd, count=count, **LINEAR)}


def pooled_error(times):
    return {"accumulate": run({"test_error": {999: times * UNIT}}, sd=1e-4, **LINEAR)}


def shares(error):
    arms = {f"p={p},n={n}": ({"synthetic_share": p, "n": n}, {"test_error": {1: error(p, n)}})
            for p in (0.0, 0.01, 0.1) for n in (1_000, 100_000)}  # fmt: skip
    return {"run": sweep(arms, sd=1e-9, d=10, sigma=1.0, quality=1.0)}


def verifier(shift, top=1.0):
    pairs = [(0.9, 0.3), (0.8, 0.4), (0.9, 0.6)]
    arms = {
        f"phi={phi},psi={psi},p={p:.2f}": (
            {"phi": phi, "psi": psi, "p": p},
            {"accuracy": {1: top if p < 1 / (1 + psi / phi) + shift else 0.02}},
        )
        for phi, psi in pairs
        for p in np.arange(0.05, 1, 0.02)
    }
    return {"run": sweep(arms)}


def starts(gaps):
    arms = {f"bias={bias},n={n}": ({"bias": bias, "n_initial": n}, {"w2": {40: 1.0 + (gap if n == 100 else 0)}})
            for bias, gap in gaps.items() for n in (100, 1000)}  # fmt: skip
    return {"run": sweep(arms)}


def archived(folder, study, profile, record):
    """Write a made-up record under the name that its study and profile give it."""
    named = record.manifest | {"study": study, "profile": profile}
    save_record(folder / f"{profile}-{study}", replace(record, manifest=named))


def admissible(limits, sd=1e-4):
    """W2 that crosses the baseline's 1.0 at `limits[bias][n_real]` synthetic items."""
    grid = (10, 100, 1_000, 10_000)
    arms = {f"{r}": ({"bias": 1.0, "n_real": r, "n_synthetic": 0}, {"w2": {40: 1.0}}) for r in (250, 500)}
    for bias, by_real in limits.items():
        for r, limit in by_real.items():
            for n in grid:
                excess = 0.1 * (np.log(n) - np.log(limit))
                settings = {"bias": bias, "n_real": r, "n_synthetic": n}
                arms[f"{bias},{r},{n}"] = (settings, {"w2": {40: 1.0 + excess}})
    return {"run": sweep(arms, sd=sd)}


EVER = 1e9
REGRESSION = {
    "A1": {R: errors(UNIT, sd=0.5), P: errors(1.05 * UNIT), N: errors(2 * UNIT)},
    "A2": {R: pooled_error(1.64), P: pooled_error(1.75), N: pooled_error(3.0)},
    "S1": {
        R: shares(lambda p, n: p**2 + 10 / n),
        P: shares(lambda p, n: 1.5 * (p**2 + 10 / n)),
        N: shares(lambda p, n: 10 / n),
    },
    "F1": {R: verifier(0.0), P: verifier(0.1), N: verifier(0.0, top=0.4)},
    "M4": {R: starts({1.0: 0, 0.8: 0}), P: starts({1.0: 0, 0.8: 0.5}), N: starts({1.0: 0.5, 0.8: 0.5})},
    "M5": {
        R: admissible({0.8: {250: 200, 500: 210}, 0.9: {250: 2000, 500: 2100}, 1.0: {250: EVER, 500: EVER}}),
        P: admissible({0.8: {250: 200, 500: 400}, 0.9: {250: 2000, 500: 4000}}),
        N: admissible({0.8: {250: 200, 500: 400}, 0.9: {250: 200, 500: 300}}),
    },
}

# --- mixtures --------------------------------------------------------------------------------------------------------


def blob(share, spread):
    distance = np.where(np.arange(20) < 20 * share, 0.05, 0.001)
    null = {g: np.linspace(0.0005, 0.002, 20) for g in (0, 50)}
    return {
        "run": run(
            {"l2_squared": {50: distance}, "l2_null": null, "component_spread": {0: 0.9, 2000: 0.9 * spread}}, chains=20
        )
    }


def sizes(medians, sd=0.01, chains=8):
    rng = np.random.default_rng(3)
    arms = {f"n={n}": ({"n": n}, {"l2_squared": {2000: m * np.exp(sd * rng.standard_normal(chains))}})
            for n, m in zip((500, 1_000, 10_000, 50_000, 200_000), medians, strict=True)}  # fmt: skip
    return {"run": sweep(arms)}


def rises(metric, start, end, sd=0.01, **finals):
    """One record per alias that goes from `start` at g = 0 to its own value at `end`."""
    return {alias: run({metric: {0: start, end: final}}, sd=sd) for alias, final in finals.items()}


def likelihoods(**ends):
    return {name: run({"log_likelihood": {50: end}}) for name, end in ends.items()}


MIXTURE = {
    "G1": {R: blob(0.95, 1), P: blob(0.6, 1), N: blob(0.2, 1)},
    "G2": {R: blob(1, 0.02), P: blob(1, 0.4), N: blob(1, 0.9)},
    "G3": {R: sizes([700, 300, 0.4, 0.05, 0.01]), P: sizes([700, 300, 0.4, 0.01, 0.05]), N: sizes([1] * 5, sd=1)},
    "P-e": {R: blob(0.95, 0.02), P: blob(0.95, 0.4), N: blob(0.6, 0.4)},
    "P-g.gmm": {
        R: rises("l2_squared", 0, 2000, keep=0.1, replace=100),
        P: rises("l2_squared", 0, 2000, keep=70, replace=100),
        N: rises("l2_squared", 0, 2000, keep=120, replace=100),
    },
    "W1": {
        R: likelihoods(human=-2.0, weighted=-2.0, unweighted=-3.0),
        P: likelihoods(human=-2.0, weighted=-2.5, unweighted=-3.0),
        N: likelihoods(human=-2.0, weighted=-3.0, unweighted=-3.0),
    },
}

# --- images ----------------------------------------------------------------------------------------------------------


def latents(*means, sd=0.01):
    return {"run": run({"latent_sd": dict(enumerate(means, start=1))}, sd=sd, chains=5)}


def unsure(late):
    return {"run": run({"unsure_share": {0: 0.1, 20: late}}, sd=0.005)}


def gan(frechet=0.0, precision=0.0, recall=0.0, sd=0.01, last=6):
    return run({"frechet": line(10, frechet, last), "precision": line(0.7, precision, last),
                "recall": line(0.5, recall, last)}, sd=sd)  # fmt: skip


def spectrum(*rise):
    return {"run": run({"spectral_excess": {0: 1.0, 1: 1.0} | {g: 1 + x for g, x in enumerate(rise, start=2)}})}


def alike(distance, precision):
    metrics = {"feature_distance": {0: 10.0, 5: distance}, "precision": line(0.7, precision, 5)}
    metrics["feature_distance"] |= dict.fromkeys((1, 2, 3, 4), 10.0)
    return {"truncated": run(metrics)}


def minority(rare, overall):
    return {"run": run({"minority_recall": dict(enumerate([0.9, *rare])), "accuracy": dict(enumerate([0.9, *overall]))},
                       sd=0.001)}  # fmt: skip


FLAT = [0.9] * 5
SPREAD = {"start": 0.76, "end": 20, "sd": 0.005}
IMAGES = {
    "V1": {R: latents(0.69, 0.60, 0.53, 0.49, 0.44), P: latents(0.9, 0.8, 0.7, 0.6, 0.5), N: latents(*[0.7] * 5)},
    "V2": {R: unsure(0.3), P: unsure(0.13), N: unsure(0.1)},
    "M1": {
        R: {"run": gan(5, -0.05, -0.05)},
        P: {"run": gan(5, 0, -0.05)},
        N: {"run": gan(5, -0.05, 0)},
    },
    "M2": {
        R: {"unbiased": gan(recall=-0.02), "truncated": gan(precision=0.03, recall=-0.08)},
        P: {"unbiased": gan(recall=-0.02), "truncated": gan(precision=-0.03, recall=-0.08)},
        N: {"unbiased": gan(recall=-0.08), "truncated": gan(precision=0.03, recall=-0.02)},
    },
    "M3": {
        R: {"augment": gan(frechet=1), "replace": gan(frechet=5)},
        P: {"augment": gan(frechet=-1), "replace": gan(frechet=5)},
        N: {"augment": gan(frechet=5), "replace": gan(frechet=5)},
    },
    "P-c": {R: spectrum(0.1, 0.1, 0.1, 0.1), P: spectrum(0, 0, 0.1, 0.1), N: spectrum(0, 0, 0, 0)},
    "P-f": {R: alike(7, 0.02), P: alike(9, 0.02), N: alike(11, 0.02)},
    "P-g.vae": {
        R: rises("latent_sd", keep=0.74, replace=0.3, **SPREAD),
        P: rises("latent_sd", keep=0.45, replace=0.3, **SPREAD),
        N: rises("latent_sd", keep=0.2, replace=0.3, **SPREAD),
    },
    "P-h.vae": {
        R: rises("latent_sd", accumulate=0.76, replace=0.3, **SPREAD),
        P: rises("latent_sd", accumulate=0.7, replace=0.3, **SPREAD),
        N: rises("latent_sd", accumulate=0.4, replace=0.3, **SPREAD),
    },
    "P-h.faces": {
        R: rises("frechet", 5, 9, accumulate=5, replace=50),
        P: rises("frechet", 5, 9, accumulate=9, replace=50),
        N: rises("frechet", 5, 9, accumulate=45, replace=50),
    },
    "P-j": {
        R: minority([0.8, 0.4, 0.3, 0.2, 0.1], FLAT),
        P: minority([0.9, 0.8, 0.7, 0.6, 0.6], [0.9, 0.9, 0.9, 0.8, 0.7]),
        N: minority(FLAT, [0.8, 0.7, 0.6, 0.5, 0.4]),
    },
}

# --- text ------------------------------------------------------------------------------------------------------------


def opt(zero, tuned):
    return {"run": run({"zero_shot_perplexity": {0: zero}, "perplexity": {0: tuned}})}


def text(sd=0.3, **finals):
    """Perplexity from 34 at g = 0 to each run's own at g = 9."""
    return rises("perplexity", 34.0, 9, sd, **finals)


def sequences(median, tail):
    metrics = {"sequence_perplexity_q50": {0: 30, 9: 30 + median}, "sequence_perplexity_q99": {0: 300, 9: 300 + tail}}
    return {"replace": run(metrics)}


def penalty(first, final):
    plain = {"perplexity": {0: 34.0, 1: 36.0, 9: 55.0}}
    return {"replace": run(plain, sd=0.3), "penalty": run({"perplexity": {0: 34.0, 1: first, 9: final}}, sd=0.3)}


def curve(*means):
    return {"replace": run({"perplexity": dict(enumerate(means, start=1))}, sd=0.1)}


def diversity(lexical, syntactic, semantic):
    falls = {"distinct_2": lexical, "syntactic_diversity": syntactic, "semantic_diversity": semantic}
    return {"run": run({name: {1: 1.0, 9: 1 - fall} for name, fall in falls.items()})}


def distinct(*shares):
    return {"run": run({"distinct_2": {0: 0.5} | dict(zip((1, 2, 4, 8), (0.5 * s for s in shares), strict=True))})}


def pretraining(replace, accumulate, **spread):
    return {name: run({"cross_entropy": {0: 1.82, 3: 1.82 + rise}}, **spread)
            for name, rise in (("replace", replace), ("accumulate", accumulate))}  # fmt: skip


TEXT = {
    "L0": {R: opt(114, 33.5), P: opt(60, 33.5), N: opt(60, 25)},
    "L1": {R: text(replace=58), P: text(replace=40), N: text(replace=34)},
    "L2": {R: text(keep=36, replace=58), P: text(keep=46, replace=58), N: text(keep=58, replace=58)},
    "L3": {R: sequences(-5, 50), P: sequences(-5, -50), N: sequences(5, -50)},
    "L4": {R: penalty(70, 90), P: penalty(40, 90), N: penalty(40, 41)},
    "L5": {
        "monotone": curve(*range(40, 49)),
        "spike": curve(61, 49, 46, 45, 44, 44, 43, 43, 43),
        "plateau": curve(*[44.0] * 9),
    },
    "L6": {R: text(beam=58, sample=40), N: text(beam=40, sample=40)},
    "L7": {R: text(original=58, chained=80), N: text(original=58, chained=58)},
    "A3": {R: pretraining(0.5, -0.08), P: pretraining(0.5, 0.2), N: pretraining(0.0, 0.1)},
    "D1": {R: diversity(0.4, 0.6, 0.1), P: diversity(0.4, 0.0, 0.1), N: diversity(0.0, 0.6, 0.1)},
    "P-a": {R: distinct(0.85, 0.6, 0.35, 0.05), P: distinct(0.98, 0.97, 0.95, 0.9), N: distinct(1.1, 1.2, 1.3, 1.4)},
    "P-b.llm": {R: lost(0.97, 0.96), P: lost(0.97, 0.3), N: lost(0.6, 0.3)},
    "P-g.llm": {R: text(keep=36, replace=58), P: text(keep=50, replace=58), N: text(keep=70, replace=58)},
    "P-h.llm": {
        R: text(accumulate=33, replace=58),
        P: text(accumulate=38, replace=58),
        N: text(accumulate=56, replace=58),
    },
}

CASES = {**THEORY, **REGRESSION, **MIXTURE, **IMAGES, **TEXT}


# --- every rule, every verdict ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [pytest.param(i, v, id=f"{i}-{v}") for i, cases in CASES.items() for v in cases],
)
def test_rule_reaches_verdict(claim, verdict):
    finding = BY_ID[claim].rule(CASES[claim][verdict])
    assert finding.verdict == verdict, finding
    assert finding.measured
    assert finding.reason.endswith(".")
    assert finding.chains >= 3
    if finding.interval is not None:
        assert finding.interval[0] <= finding.value <= finding.interval[1]


def test_cases_cover_every_verdict_of_every_rule():
    declared = {claim.id: set(claim.gives) for claim in CLAIMS if claim.rule}
    assert {claim: set(cases) for claim, cases in CASES.items()} == declared


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.rule], ids=lambda c: c.id)
def test_cases_use_the_aliases_a_claim_needs(claim):
    assert all(set(case) == set(claim.needs) for case in CASES[claim.id].values())


def test_partly_absorbed_chains_and_too_few_of_them():
    assert BY_ID["T1"].rule(absorbed([0.5, 0.3, 0.2], left=0.001)).verdict == N
    with pytest.raises(NoVerdict, match="10,000"):
        BY_ID["T1"].rule(absorbed([0.5, 0.3, 0.2], count=100))


def test_regimes_are_compared_though_they_keep_different_generations():
    assert BY_ID["A4"].rule(sparse(CASES["A4"][R])).verdict == R


def test_interval_that_meets_the_band_and_zero_shows_nothing():
    assert BY_ID["L1"].rule(text(sd=30.0, replace=58)).verdict == N


def test_accumulation_that_improves_does_no_harm():
    assert BY_ID["P-h.vae"].rule(rises("latent_sd", accumulate=0.9, replace=0.3, **SPREAD)).verdict == R


def test_an_ordering_wants_an_interval():
    assert BY_ID["A3"].rule(pretraining(0.5, 0.0, sd=2.0)).verdict == N


def test_nothing_to_mitigate_gives_no_verdict():
    with pytest.raises(NoVerdict, match="nothing to mitigate"):
        BY_ID["P-g.llm"].rule(text(keep=34, replace=34))


def limit(limits, n_real: int = 500) -> float:
    """What the rule makes of a record whose admissible numbers are `limits`."""
    record = admissible(limits)["run"]
    means = {
        claims.rules_fresh._point(record, arm): record.at("w2", record.generations[-1], arm)["mean"]
        for arm in record.arms
    }
    return claims.rules_fresh._admissible(means, 0.8, n_real)


def test_admissible_counts_are_interpolated_between_grid_points():
    assert limit({0.8: {250: 200, 500: 210}}) == pytest.approx(210)
    assert limit({0.8: {500: 5}}) == 0
    assert limit({0.8: {500: EVER}}) == np.inf


# --- intervals against scipy and simulation --------------------------------------------------------------------------


def test_intervals_agree_with_scipy():
    from scipy import stats

    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 9), rng.normal(0, 3, 14)
    assert iv.interval(iv.of_values(a)) == pytest.approx(tuple(stats.ttest_1samp(a, 0).confidence_interval()))
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert iv.interval(iv.minus(iv.of_values(a), iv.of_values(b))) == pytest.approx(tuple(welch))


def test_fieller_interval_covers_the_ratio_paired_and_unpaired():
    rng = np.random.default_rng(1)
    hits = np.zeros(2)
    for _ in range(1000):
        b = rng.normal(5, 1, 12)
        for k, a in enumerate((rng.normal(2, 1, 12), 2 + 0.8 * (b - 5) + rng.normal(0, 0.6, 12))):
            covariance = np.cov(a, b)[0, 1] / 12 if k else 0.0
            low, high = iv.ratio(iv.of_values(a), iv.of_values(b), covariance)[1]
            hits[k] += low <= 0.4 <= high
    assert hits / 1000 == pytest.approx(0.95, abs=0.03)


def test_change_is_paired_where_all_chains_are_kept_and_welch_otherwise():
    start = np.random.default_rng(2).normal(0, 10, 20)
    values = {"x": {0: start, 1: start + 1}}
    assert iv.interval(iv.change(run(values), "x", 0, 1)) == pytest.approx((1, 1))
    low, high = iv.interval(iv.change(run(values, count=20_000), "x", 0, 1))
    assert low < 1 < high


def test_slope_weighs_the_spread_by_all_chains():
    means = {g: 2.0 * g for g in range(6)}
    few, many = (iv.slope(run({"x": means}, chains=50, count=count), "x") for count in (50, 5000))
    assert few.mean == pytest.approx(2.0)
    assert few.se == pytest.approx(10 * many.se)


# --- the scorecard ---------------------------------------------------------------------------------------------------


def finder(claim, records):
    """Hands out made-up records under the names a claim asks for."""
    by_name = {need: records[alias] for alias, need in claim.needs.items()}
    return lambda family, study: by_name.get((family, study))


def result_of(claim_id, *finds):
    return next(r for r in scorecard(finds) if r.claim.id == claim_id)


def test_every_row_of_the_table_is_there_once():
    names = [claim.id for claim in CLAIMS]
    numbered = [f"{k}{i}" for k, n in {"T": 6, "G": 3, "V": 2, "M": 5, "A": 4}.items() for i in range(1, n + 1)]
    numbered += [f"L{i}" for i in range(8)] + ["S1", "F1", "W1", "D1"]
    press = [f"P-{letter}" for letter in "abcdefghij"] + ["P-b.theory", "P-b.llm"]
    press += [f"P-g.{family}" for family in ("gmm", "vae", "llm")]
    press += [f"P-h.{family}" for family in ("theory", "vae", "llm", "faces")]
    assert sorted(names) == sorted(numbered + press)


def test_press_rows_have_a_source_check_and_others_do_not():
    assert all((claim.source_check is not None) == claim.id.startswith("P-") for claim in CLAIMS)
    with pytest.raises(ValueError, match="source check"):
        claims.SourceCheck("maybe", "somewhere", "no reason")


def test_without_records_nothing_is_tested():
    verdicts = {r.claim.id: r.finding.verdict for r in scorecard([lambda family, study: None])}
    assert verdicts.pop("L0") == NOT_TESTABLE
    assert verdicts.pop("P-d") == SOURCE_ONLY
    assert set(verdicts.values()) == {NOT_YET}


def test_one_missing_record_of_two_is_named():
    find = finder(BY_ID["P-h.vae"], CASES["P-h.vae"][R])
    result = result_of("P-h.vae", lambda f, s: None if s == "stream-accumulate" else find(f, s))
    assert result.finding.verdict == NOT_YET
    assert "vae/stream-accumulate" in result.finding.reason


@pytest.mark.parametrize("chains", [1, 2])
def test_fewer_than_three_chains_give_no_verdict(chains):
    records = {"replace": run({"perplexity": {0: 34.0, 9: 58.0}}, chains=chains)}
    result = result_of("L1", finder(BY_ID["L1"], records))
    assert result.finding.verdict == NO_VERDICT
    assert f"{chains} chain" in result.finding.reason


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.rule], ids=lambda c: c.id)
def test_no_rule_judges_fewer_than_three_chains(claim):
    records = {}
    for alias, record in CASES[claim.id][claim.gives[0]].items():
        metrics = record.metrics[record.metrics["chain"] < 2]
        records[alias] = Record(record.manifest, metrics, record.statistics.assign(count=2))
    assert claims.evaluate(claim, [finder(claim, records)]).finding.verdict == NO_VERDICT


def test_value_that_is_not_a_number_gives_no_verdict():
    records = {"replace": run({"perplexity": {0: 34.0, 9: [58.0, np.nan, 58.0]}}, chains=3)}
    assert result_of("L1", finder(BY_ID["L1"], records)).finding.verdict == NO_VERDICT


def test_record_without_the_generation_or_setting_gives_no_verdict_with_the_reason():
    short = {"replace": run({"perplexity": {0: 34.0, 3: 58.0}})}
    assert "generation 9" in result_of("L1", finder(BY_ID["L1"], short)).finding.reason
    bare = {"run": run({"absorbed": {9: 1.0}}, sd=0, count=10_000)}
    result = result_of("T1", finder(BY_ID["T1"], bare))
    assert result.finding.verdict == NO_VERDICT
    assert "probabilities" in result.finding.reason


def test_damaged_record_costs_its_claims_their_verdict_and_nothing_else(tmp_path):
    for study in ("beam5-replace", "sample-replace"):
        record = CASES["L6"][R]["beam" if study == "beam5-replace" else "sample"]
        archived(tmp_path / "llm", study, "laptop", record)
    assert result_of("L6", *claims.find_records(tmp_path)).finding.verdict == R
    with open(tmp_path / "llm" / "laptop-sample-replace" / "summary.parquet", "ab") as stream:
        stream.write(b"!")
    results = {r.claim.id: r for r in scorecard(claims.find_records(tmp_path))}
    assert results["L6"].finding.verdict == NO_VERDICT
    assert "summary.parquet" in results["L6"].finding.reason
    assert results["L1"].finding.verdict == R


def test_a_record_that_is_not_what_its_name_says_gives_no_verdict(tmp_path):
    archived(tmp_path / "llm", "beam5-replace", "paper", text(replace=58.0)["replace"])
    (tmp_path / "llm" / "paper-beam5-replace").rename(tmp_path / "llm" / "paper-sample-replace")
    finding = result_of("L6", *claims.find_records(tmp_path)).finding
    assert finding.verdict in (NO_VERDICT, NOT_YET)
    with pytest.raises(ArchiveError, match="is of another study or profile than its name says"):
        claims.find_records(tmp_path)[0]("llm", "sample-replace")


def test_m5_asks_the_whole_interval_of_the_growth():
    limits = {0.8: {250: 200, 500: 210}, 1.0: {250: EVER, 500: EVER}}
    sharp, vague = (BY_ID["M5"].rule(admissible(limits, sd)) for sd in (1e-4, 0.05))
    assert (sharp.verdict, vague.verdict) == (R, P)
    assert sharp.interval[0] < 0.05 < sharp.interval[1] < 0.1 < vague.interval[1]


def test_paper_records_are_preferred_and_read_once(tmp_path, monkeypatch):
    for profile, final in (("paper", 58.0), ("laptop", 34.0)):
        archived(tmp_path / "llm", "beam5-replace", profile, text(replace=final)["replace"])
    loaded = []
    module = importlib.import_module("model_collapse.claims.scorecard")
    load = module.load_record
    monkeypatch.setattr(module, "load_record", lambda folder: loaded.append(folder.name) or load(folder))
    finds = claims.find_records(tmp_path)
    assert result_of("L1", *finds).finding.verdict == R
    assert sorted(loaded) == ["laptop-beam5-replace", "paper-beam5-replace"]  # each once, the other for other claims
    assert finds[0]("llm", "nowhere") is None


def test_records_of_different_profiles_are_never_compared(tmp_path):
    """A run at the scale of the paper without its partner leaves the claim to the pair at the smaller scale."""
    pair = {"beam5-replace": "beam", "sample-replace": "sample"}
    for study, alias in pair.items():
        archived(tmp_path / "llm", study, "laptop", CASES["L6"][R][alias])
    archived(tmp_path / "llm", "beam5-replace", "paper", text(replace=58.0)["replace"])
    finds = claims.find_records(tmp_path)
    assert result_of("L6", *finds).profile == "laptop" and result_of("L1", *finds).profile == "paper"
    shutil.rmtree(tmp_path / "llm" / "laptop-beam5-replace")
    result = result_of("L6", *finds[:1], *claims.find_records(tmp_path)[1:])
    assert result.finding.verdict == NOT_YET and "llm/" in result.finding.reason


def test_parent_shows_the_worst_and_the_spread():
    theory, llm = BY_ID["P-b.theory"], BY_ID["P-b.llm"]
    finds = finder(theory, lost(0.99, 0.97)), finder(llm, lost(0.6, 0.3))
    result = result_of("P-b", lambda f, s: finds[0](f, s) or finds[1](f, s))
    assert result.finding.verdict == N
    assert result.finding.measured == f"P-b.theory: {R}; P-b.llm: {N}"
    alone = result_of("P-b", finds[0])
    assert alone.finding.verdict == R
    assert NOT_YET in alone.finding.measured


def test_parent_of_undecided_children_is_undecided():
    def damaged(family, study):
        raise ArchiveError("record is damaged")

    assert result_of("P-g", damaged).finding.verdict == NO_VERDICT
    assert result_of("P-g", lambda f, s: None).finding.verdict == NOT_YET


def test_rows_and_counts():
    results = scorecard([finder(BY_ID["L1"], CASES["L1"][R])])
    rows = {row["id"]: row for row in claims.as_rows(results)}
    assert list(rows["L1"]) == [
        "id", "family", "group", "statement", "source", "paper", "measured", "value", "interval", "chains", "profile",
        "verdict", "reason", "source_check", "rule_changed",
    ]  # fmt: skip
    json.dumps(list(rows.values()), allow_nan=False)
    assert rows["L1"]["profile"] == "paper"
    assert rows["L1"]["chains"] == 8
    assert rows["P-d"]["source_check"].startswith("misattributed (Nature 2024, example 1)")
    assert "share the data and, where there is one, the base" in rows["L1"]["reason"]
    found = claims.by_verdict(rows)
    assert found[R] == ["L1"] and "" not in found
    assert [*sorted(sum(found.values(), []))] == sorted(claim.id for claim in CLAIMS if not claim.children)


# --- fingerprints of rules -------------------------------------------------------------------------------------------

RULES = '''"""A wing."""
import numpy as np
from .aids import halve as half, LIMIT

FACTOR = 2  # {comment}
UNUSED = 1


def rule(records):
    """{docstring}"""
    return half(records) * FACTOR > LIMIT


def half_used():
    return UNUSED
'''
AIDS = '''"""Aids."""
DEEP = {deep}
LIMIT = {limit}


def halve(x):
    """{docstring}"""
    return deeper(x) / 2


def deeper(x):
    return x - DEEP


def bystander():
    return {bystander}
'''
PLAIN = {"comment": "why", "docstring": "What.", "deep": 1, "limit": 3, "bystander": 0}


@pytest.fixture
def wing(tmp_path, monkeypatch):
    """Writes a small package of rules and returns the fingerprint of its rule."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def fingerprint(name, **changes):
        values = PLAIN | changes
        (tmp_path / name).mkdir()
        for part, source in (("__init__", ""), ("rules", RULES), ("aids", AIDS)):
            (tmp_path / name / f"{part}.py").write_text(source.format(**values))
        importlib.invalidate_caches()
        return rule_hash(importlib.import_module(f"{name}.rules").rule)

    yield fingerprint
    for module in [m for m in sys.modules if m.startswith("wing_")]:
        del sys.modules[module]


@pytest.mark.parametrize("change", [{"limit": 4}, {"deep": 2}])
def test_fingerprint_changes_with_a_constant_however_far(wing, change):
    assert wing("wing_a") != wing("wing_b", **change)


@pytest.mark.parametrize("change", [{"docstring": "Else."}, {"comment": "because"}, {"bystander": 1}])
def test_fingerprint_ignores_words_and_bystanders(wing, change):
    assert wing("wing_a") == wing("wing_b", **change)


def test_rules_share_no_fingerprint_by_accident():
    prints = [rule_hash(claim.rule) for claim in CLAIMS if claim.rule]
    assert len(set(prints)) == len(prints)
    assert all(len(p) == 64 for p in prints)


def test_rules_in_force_names_the_claims_that_read_a_family():
    assert set(rules_in_force("discrete")) == {"T1", "P-b.theory"}
    assert set(rules_in_force("regression")) == {"A1", "A2", "S1"}
    assert rules_in_force("nothing") == {}


@pytest.mark.parametrize(
    ("rules", "changed", "words"),
    [
        ({"L1": rule_hash(BY_ID["L1"].rule)}, False, ""),
        ({"L1": "0" * 64}, True, "changed after the run"),
        ({}, True, "written after the run"),
    ],
)
def test_rule_that_differs_from_the_manifest_shows(rules, changed, words):
    record = run({"perplexity": {0: 34.0, 9: 58.0}}, rules=rules)
    result = result_of("L1", finder(BY_ID["L1"], {"replace": record}))
    assert result.rule_changed is changed
    assert words in result.finding.reason
    assert result.finding.verdict == R


def test_findings_are_plain_values():
    with pytest.raises(AttributeError):
        Finding(R, "", 0.0, None, 3, "").verdict = N

"""Rules of language models (Shumailov et al., Nature 2024, and the papers that answered it).

Fine-tuning starts from the same base at every generation, but for the studies from random weights. Perplexity is that
of human test text in 64-token blocks. Chains share the data, and the base where there is one. A study's name reads
decoding, what differs, regime.

Records, by study, and the metrics read from them (family llm):

``beam5-replace``
    five beams, original prompts, 5 epochs, no penalty. ``perplexity``; ``sequence_perplexity_q50``,
    ``sequence_perplexity_q99``: quantiles over the sequences of pool g under model 0; ``distinct_2``; ``lost_1``,
    ``lost_5plus`` (as in the theory, by words, of pool g).
``beam5-keep10-epochs10``, ``beam5-keep10``
    10 % of the blocks stay human, with the source's 10 epochs, and with the steps of ``beam5-replace``; ``perplexity``.
``beam5-penalty2``, ``sample-replace``, ``beam5-chained-replace``, ``beam5-accumulate``
    repetition penalty 2.0; sampling at temperature 1; prompts from the last synthetic set; all data so far at matched
    steps; ``perplexity``. ``sample-replace`` also has ``distinct_2``, ``syntactic_diversity`` and
    ``semantic_diversity`` at a fixed 100,000 tokens. The source of D1 compares dependency trees and sentence
    embeddings; neither parser nor encoder comes without a download, so these stand in: distinct-4 of what is left of a
    text without its content words, and the distance of texts in a latent semantic analysis of human text.
``opt125m-replace``
    the source's own base: ``zero_shot_perplexity``, ``perplexity``.
``scratch-replace``, ``scratch-accumulate``
    trained from random weights, temperature 1, matched steps; ``cross_entropy`` in nats a token.
"""

from __future__ import annotations

from scipy.stats import page_trend_test

from .claim import Finding, Records, grade
from .comparisons import harmless, mitigated, rise_differs, tail_gone
from .intervals import (
    Estimate,
    change,
    estimate,
    interval,
    minus,
    number,
    percent,
    ratio,
    relative_change,
    span,
)

__all__ = [
    "a3", "d1", "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "p_a", "p_b_llm", "p_g_llm", "p_h_llm",
]  # fmt: skip

END = 9
ZERO_SHOT, ZERO_SHOT_MARGIN = 115.0, 0.05
FINE_TUNED, FINE_TUNED_MARGIN = 34.0, 2.0
RISE = (0.59, 0.82)  # 20 to 28 points on 34
MINOR = 0.24  # the axis of the source's panel ends at 42, which is 24 % above 34
DOUBLED = (1.5, 2.5)
TREND = 0.001
EARLY_PEAK, LATE_PEAK = 3, 7
PRETRAINING_AT, PRETRAINING_RISE, PRETRAINING_FLAT = 3, 0.3, 0.05
PRESS_DIVERSITY = {0: 1.00, 1: 0.85, 2: 0.65, 4: 0.30, 8: 0.10}  # press "generation k" is g = k - 1
PRESS_MARGIN = 0.10


def l0(records: Records) -> Finding:
    """OPT-125m: zero-shot perplexity 115 ± 5 % and 34 ± 2 after fine-tuning on human text; partly: one of the two."""
    run = records["run"]
    zero, tuned = estimate(run, "zero_shot_perplexity", 0), estimate(run, "perplexity", 0)
    close = [
        abs(zero.mean / ZERO_SHOT - 1) <= ZERO_SHOT_MARGIN,
        abs(tuned.mean - FINE_TUNED) <= FINE_TUNED_MARGIN,
    ]
    return Finding(
        grade(all(close), any(close)),
        f"{number(zero.mean)} zero-shot, {number(tuned.mean)} fine-tuned",
        tuned.mean,
        interval(tuned),
        min(zero.count, tuned.count),
        f"Perplexity of 64-token blocks held against {ZERO_SHOT:g} and {FINE_TUNED:g}.",
    )


def l1(records: Records) -> Finding:
    """Relative rise of perplexity from g = 0 to 9: interval meets [59, 82] %; partly: above 0.

    The full condition implies the partial one: an interval so wide that it meets the band and 0 as well shows nothing.
    """
    rise = relative_change(records["replace"], "perplexity", 0, END)
    low, high = interval(rise)
    meets = low <= RISE[1] and high >= RISE[0]
    return Finding(
        grade(meets and low > 0, low > 0),
        f"{percent(rise.mean)} ({span((low, high), 100)} %)",
        rise.mean,
        (low, high),
        rise.count,
        f"Relative rise of perplexity from g = 0 to {END} against {span(RISE, 100)} %.",
    )


def l2(records: Records) -> Finding:
    """Rise with 10 % kept and 10 epochs below 24 % and below replace's (Welch interval); partly: below replace's."""
    kept, free = (relative_change(records[name], "perplexity", 0, END) for name in ("keep", "replace"))
    below = interval(minus(kept, free))[1] < 0
    return Finding(
        grade(kept.mean < MINOR and below, below),
        f"{percent(kept.mean)} ({span(interval(kept), 100)} %), {percent(free.mean)} under replace",
        kept.mean,
        interval(kept),
        min(kept.count, free.count),
        f"Relative rise of perplexity to g = {END} with 10 % kept, against {percent(MINOR)} and replace's.",
    )


def l3(records: Records) -> Finding:
    """Sequence perplexity under model 0, g = 9 minus g = 0: median falls, 99th percentile rises; partly: one."""
    run = records["replace"]
    middle, tail = (change(run, f"sequence_perplexity_{q}", 0, END) for q in ("q50", "q99"))
    down, up = interval(middle)[1] < 0, interval(tail)[0] > 0
    return Finding(
        grade(down and up, down or up),
        f"median {number(middle.mean)} ({span(interval(middle))}), 99th {number(tail.mean)} ({span(interval(tail))})",
        middle.mean,
        interval(middle),
        min(middle.count, tail.count),
        f"Change to g = {END} of sequence perplexity under model 0, median and 99th percentile, held against 0.",
    )


def l4(records: Records) -> Finding:
    """Penalty 2.0: perplexity 1.5 to 2.5 times that without, and a rise to g = 9 that is not smaller; partly: one.

    The ratio is read at g = 1. It was first asked at g = 0, where it is 1 whatever the penalty does: model 0 is fitted
    on human text, and only what it writes, the pool of model 1, has felt the penalty. Not smaller: the Welch interval
    of the difference of relative rises reaches 0.
    """
    penalised, plain = records["penalty"], records["replace"]
    value, bounds = ratio(estimate(penalised, "perplexity", 1), estimate(plain, "perplexity", 1))
    rises = minus(*(relative_change(run, "perplexity", 0, END) for run in (penalised, plain)))
    doubled, no_weaker = DOUBLED[0] <= value <= DOUBLED[1], interval(rises)[1] >= 0
    return Finding(
        grade(doubled and no_weaker, doubled or no_weaker),
        f"{number(value)} times ({span(bounds)}) at g = 1, rise apart by {span(interval(rises), 100)} %",
        value,
        bounds,
        rises.count,
        f"Perplexity with penalty 2.0 over that without, against {span(DOUBLED)}; difference of rises to g = {END}.",
    )


def l5(records: Records) -> Finding:
    """Shape of perplexity over g = 1 … 9: a label.

    Monotone: Page's trend has p < 0.001 and the mean curve peaks at g >= 7. Spike: it peaks at g <= 3 and has fallen
    from there to g = 9 (interval below 0). Plateau: neither.
    """
    run = records["replace"]
    curve = {g: estimate(run, "perplexity", g) for g in range(1, END + 1)}
    level = float(page_trend_test(run.chains("perplexity").loc[1:END].to_numpy().T).pvalue)
    peak = max(curve, key=lambda g: curve[g].mean)
    falls = peak < END and interval(change(run, "perplexity", peak, END))[1] < 0
    label = "plateau"
    if level < TREND and peak >= LATE_PEAK:
        label = "monotone"
    elif peak <= EARLY_PEAK and falls:
        label = "spike"
    return Finding(
        label,
        f"peak {number(curve[peak].mean)} at g = {peak}, {number(curve[END].mean)} at g = {END}",
        level,
        None,
        min(e.count for e in curve.values()),
        f"Page's trend over g = 1 … {END} has p = {number(level)}; the mean curve peaks at g = {peak}.",
    )


def l6(records: Records) -> Finding:
    """Rise under five beams minus rise under sampling at temperature 1: interval excludes 0."""
    return rise_differs(records["beam"], records["sample"], "perplexity", END, ("five beams", "sampling"))


def l7(records: Records) -> Finding:
    """Rise with original prompts minus rise with chained ones: interval excludes 0."""
    return rise_differs(records["original"], records["chained"], "perplexity", END, ("original", "chained"))


def a3(records: Records) -> Finding:
    """Cross-entropy to g = 3: replace up by 0.3 nats or more, accumulate by 0.05 at most; partly: accumulate lower.

    Lower: the Welch interval of the difference lies below 0, which the full condition asks as well.
    """
    free, all_ = (change(records[name], "cross_entropy", 0, PRETRAINING_AT) for name in ("replace", "accumulate"))
    apart = interval(minus(all_, free))
    lower = apart[1] < 0
    return Finding(
        grade(lower and free.mean >= PRETRAINING_RISE and all_.mean <= PRETRAINING_FLAT, lower),
        f"replace {free.mean:+.3f}, accumulate {all_.mean:+.3f} nats, apart by {span(apart)}",
        free.mean,
        interval(free),
        min(free.count, all_.count),
        f"Change of cross-entropy to g = {PRETRAINING_AT}, against +{PRETRAINING_RISE} and +{PRETRAINING_FLAT} nats.",
    )


def d1(records: Records) -> Finding:
    """Relative fall from g = 1 to 9 at 100,000 tokens: lexical, syntactic above 0, semantic least; partly: lexical."""
    names = {"lexical": "distinct_2", "syntactic": "syntactic_diversity", "semantic": "semantic_diversity"}
    changes = {kind: relative_change(records["run"], metric, 1, END) for kind, metric in names.items()}
    falls = {kind: Estimate(-e.mean, e.se, e.df, e.count) for kind, e in changes.items()}
    lexical, syntactic = (interval(falls[kind])[0] > 0 for kind in ("lexical", "syntactic"))
    least = min(falls, key=lambda kind: falls[kind].mean) == "semantic"
    return Finding(
        grade(lexical and syntactic and least, lexical),
        ", ".join(f"{kind} {percent(e.mean)}" for kind, e in falls.items()),
        falls["lexical"].mean,
        interval(falls["lexical"]),
        min(e.count for e in falls.values()),
        f"Relative fall of diversity from g = 1 to {END} at equal token counts, held against 0 and each other.",
    )


def p_a(records: Records) -> Finding:
    """Distinct-2 as a share of g = 0: all five published numbers within 10 points; partly: each below the one before.

    The press counts its first generation at 100 %, which is g = 0; its "under 10 %" is taken as 10 %.
    """
    run = records["run"]
    later = {g: relative_change(run, "distinct_2", 0, g) for g in PRESS_DIVERSITY if g > 0}
    shares = [1.0] + [1 + e.mean for e in later.values()]
    off = max(abs(ours - theirs) for ours, theirs in zip(shares, PRESS_DIVERSITY.values(), strict=True))
    low, high = interval(later[max(later)])
    return Finding(
        grade(off <= PRESS_MARGIN, all(a > b for a, b in zip(shares, shares[1:], strict=False))),
        " / ".join(f"{100 * s:.0f}" for s in shares) + " %",
        shares[-1],
        (1 + low, 1 + high),
        min(e.count for e in later.values()),
        f"Distinct-2 at g = 0, 1, 2, 4, 8 as a share of g = 0, against five numbers: {number(100 * off)} points off.",
    )


def p_b_llm(records: Records) -> Finding:
    """Five beams, original prompts: 95 % of singletons, and of words with five copies or more, gone by g = 5."""
    return tail_gone(records["replace"], 5)


def p_g_llm(records: Records) -> Finding:
    """Relative rise of perplexity under keep 10 % over that under replace, equal steps: below 0.5; partly: below 1."""
    return mitigated(*_rises(records, "keep", "replace"), what="perplexity", worse=+1)


def p_h_llm(records: Records) -> Finding:
    """Relative rise of perplexity under accumulate at matched steps: none; partly: less than half of replace's."""
    return harmless(*_rises(records, "accumulate", "replace"), what="perplexity (relative)", worse=+1)


def _rises(records: Records, *names: str) -> list[Estimate]:
    return [relative_change(records[name], "perplexity", 0, END) for name in names]

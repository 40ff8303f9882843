"""The table of claims: the papers' rows, then the press's (`table_press`)."""

from __future__ import annotations

from . import rules_fresh as fresh
from . import rules_images as images
from . import rules_mixture as mixture
from . import rules_regression as regression
from . import rules_text as text
from . import rules_theory as theory
from .claim import NOT_REPLICATED, REPLICATED, Claim
from .table_press import PRESS

__all__ = ["CLAIMS", "PAPERS"]

YES_OR_NO = (REPLICATED, NOT_REPLICATED)
SHAPES = ("monotone", "spike", "plateau")

NATURE, MAD = "Shumailov et al. 2024", "Alemohammad et al. 2023"
GERSTGRASSER, KAZDAN = "Gerstgrasser et al. 2024", "Kazdan et al. 2024"
DOHMATOB, FENG = "Dohmatob et al. 2024", "Feng et al. 2024"
DRAYSON, GUO, CRITICISM = "Drayson et al. 2025", "Guo et al. 2023", "Criticism"


def _one(family: str, study: str) -> dict:
    return {"run": (family, study)}


def _several(family: str, **studies: str) -> dict:
    return {alias: (family, study) for alias, study in studies.items()}


THEORY = (
    Claim("T1", "discrete", NATURE, "Resampling without end leaves one state, each with the probability it began with",
          "Nature 2024, section 3", "P(end at s) = p(s)", _one("discrete", "absorption"), theory.t1, YES_OR_NO),
    Claim("T2", "gaussian", NATURE, "The fitted variance of a Gaussian refitted to its own samples goes to 0",
          "Nature 2024, theorem 3.1", "limit 0", _several("gaussian", replace="replace"), theory.t2),
    Claim("T3", "gaussian", NATURE, "The expected squared W2 grows as 3/2 of the sum of 1/M",
          "Nature 2024, supplement 3.1.1",
          "3/2 of the sum of 1/M, as reported by secondary sources: 0.15 for M = 100 after 10 fits",
          _several("gaussian", replace="replace"), theory.t3),
    Claim("T4", "gaussian", NATURE, "The variance of one item over all chains grows as 1 + n/M",
          "Nature 2024, supplement 3.1.1", "1 + n/M, as reported by secondary sources: 1.1 for M = 100 after 10 fits",
          _several("gaussian", replace="replace"), theory.t4, YES_OR_NO),
    Claim("T5", "gaussian", NATURE, "The error of a single fit falls with the root of the sample size",
          "Nature 2024, released notebook", "no number; the released notebook: 0.221 (M = 10) to 2.3e-4 (M = 10^7)",
          _one("gaussian", "one-shot"), theory.t5),
    Claim("T6", "gaussian", NATURE, "Samples that grow faster than linearly keep the distance bounded",
          "Nature 2024, supplement 3.1.1", "bounded, as reported by secondary sources",
          _several("gaussian", superlinear="superlinear", replace="replace"), theory.t6, YES_OR_NO),
)  # fmt: skip

MIXTURE = (
    Claim("G1", "gmm", NATURE, "A mixture refitted to its own samples misses the human data by generation 50",
          "Nature 2024, supplement figure 6", "50 generations, as reported by secondary sources",
          _one("gmm", "blob-replace"), mixture.g1),
    Claim("G2", "gmm", NATURE, "By generation 2000 the mixture has hardly any variance left",
          "Nature 2024, supplement figure 6; released notebook", "0.90 to 0.010 (one released run)",
          _one("gmm", "blob-replace"), mixture.g2),
    Claim("G3", "gmm", NATURE, "The larger the sample, the slower the drift of the mixture",
          "Nature 2024, supplement figure 8; released notebook",
          "about 7e2 (N = 500), 2e2 to 5e2 (1000), 0.4 (10,000), below 1e-2 (200,000), read off the saved plot",
          _one("gmm", "blob-sizes"), mixture.g3),
)  # fmt: skip

IMAGES = (
    Claim("V1", "vae", NATURE, "The latent spread of generated digits shrinks with every generation",
          "Nature 2024, released notebook", "0.688, 0.603, 0.534, 0.483, 0.443 (g = 1 … 5)",
          _one("vae", "released-replace"), images.v1),
    Claim("V2", "vae", NATURE, "By generation 20 the digits have blended into one another",
          "Nature 2024, supplement figure 7", "no number given; mixed by g = 20, as reported by secondary sources",
          _one("vae", "long-replace"), images.v2),
)  # fmt: skip

TEXT = (
    Claim("L0", "llm", NATURE, "OPT-125m has perplexity 115 before and 34 after fine-tuning on wikitext2",
          "Nature 2024, main text", "115; 34", _one("llm", "opt125m-replace"), text.l0,
          test_command="model-collapse run llm --study opt125m-replace --profile paper, given facebook/opt-125m"),
    Claim("L1", "llm", NATURE, "Without human data, nine generations cost 20 to 28 points of perplexity",
          "Nature 2024, figure 1b", "20 to 28 points, read as +59 to +82 %",
          _several("llm", replace="beam5-replace"), text.l1),
    Claim("L2", "llm", NATURE, "With 10 % human data kept the damage is minor", "Nature 2024, figure 1c",
          "no number; the axis runs from 32 to 42",
          _several("llm", keep="beam5-keep10-epochs10", replace="beam5-replace"), text.l2),
    Claim("L3", "llm", NATURE, "Generated text becomes likelier under the first model and its unlikely tail longer",
          "Nature 2024, figure 1", "histograms only", _several("llm", replace="beam5-replace"), text.l3),
    Claim("L4", "llm", NATURE, "A repetition penalty of 2.0 doubles perplexity and does not stop the collapse",
          "Nature 2024, main text", "times 2", _several("llm", penalty="beam5-penalty2", replace="beam5-replace"),
          text.l4),
    Claim("L5", "llm", CRITICISM, "Shape of perplexity over the generations: steady rise, or a spike and what follows",
          "disputed between Nature 2024 and an informal replication", "not stated",
          _several("llm", replace="beam5-replace"), text.l5, SHAPES),
    Claim("L6", "llm", CRITICISM, "How text is decoded changes how fast the model degrades",
          "2404.01413, 2502.15654 and public criticism", "none",
          _several("llm", beam="beam5-replace", sample="sample-replace"), text.l6, YES_OR_NO),
    Claim("L7", "llm", CRITICISM, "Where the prompts come from changes how fast the model degrades",
          "Nature 2024, prose against released code", "none",
          _several("llm", original="beam5-replace", chained="beam5-chained-replace"), text.l7, YES_OR_NO),
)  # fmt: skip

LOOPS = (
    Claim("M1", "gan", MAD, "A fully synthetic loop without sampling bias loses quality and diversity",
          "2307.01850, figure 4", "Fréchet axis 0 to 200, shared by two models",
          _one("gan", "replace-unbiased"), images.m1),
    Claim("M2", "gan", MAD, "Sampling bias keeps quality and costs diversity faster", "2307.01850, figure 6",
          "precision 0.7 to 0.9",
          _several("gan", unbiased="replace-unbiased", truncated="replace-truncated"), images.m2),
    Claim("M3", "gan", MAD, "Human data that stay the same only delay the damage", "2307.01850, figures 8 and 9",
          "Fréchet axis 5 to 20 by the sixth generation",
          _several("gan", augment="augment-unbiased", replace="replace-unbiased"), images.m3),
    Claim("M4", "gaussian", MAD, "With fresh human data the loop forgets how it began", "2307.01850, figure 10",
          "equal limits", _one("gaussian", "fresh-start"), fresh.m4),
    Claim("M5", "gaussian", MAD, "The synthetic data a loop can bear saturate, and shrink with sampling bias",
          "2307.01850, figures 11 and 12", "contours only", _one("gaussian", "admissible"), fresh.m5),
)  # fmt: skip

ANSWERS = (
    Claim("A1", "regression", GERSTGRASSER, "Under replace the test error grows linearly with the generations",
          "2404.01413, linear model", "slope sigma² d / (T - d - 1)",
          _several("regression", replace="replace"), regression.a1),
    Claim("A2", "regression", GERSTGRASSER, "Under accumulate the test error stays below pi²/6 times that of one fit",
          "2404.01413, linear model", "1.645", _several("regression", accumulate="accumulate"), regression.a2),
    Claim("A3", "llm", GERSTGRASSER, "A small language model stays flat under accumulate and degrades under replace",
          "2404.01413, table 2", "1.82 to 1.74 and 2.39 nats at t = 4, as reported by secondary sources",
          _several("llm", replace="scratch-replace", accumulate="scratch-accumulate"), text.a3),
    Claim("A4", "gaussian", KAZDAN, "A fixed-size draw from the growing pool lies between the regimes and levels off",
          "2410.16713", "an order, no number, as reported by secondary sources",
          _several("gaussian", replace="replace", subsample="subsample", accumulate="accumulate"), theory.a4),
    Claim("S1", "regression", DOHMATOB, "A fixed share of synthetic data leaves an error that more data cannot lower",
          "2410.04840", "p² c², as reported by secondary sources: 1e-4 at a share of 0.01 and c = 1",
          _one("regression", "fixed-share"), regression.s1),
    Claim("F1", "verifier", FENG, "A verifier saves the loop up to p* = 1 / (1 + psi/phi) wrong labels",
          "2406.07515", "p* = 0.75 for (0.9, 0.3), as reported by secondary sources",
          _one("verifier", "sweep"), regression.f1),
    Claim("W1", "gmm", DRAYSON, "Resampling weighted by a detector prevents collapse (in miniature)", "2502.15654",
          "not found", _several("gmm", human="detector-human", weighted="detector-weighted",
                                unweighted="detector-unweighted"), mixture.w1),
    Claim("D1", "llm", GUO, "Lexical and syntactic diversity fall over the generations, semantic diversity least",
          "2311.09807", "type-token ratio -50 % (news), syntactic -74 % (news), as reported by secondary sources",
          _one("llm", "sample-replace"), text.d1),
)  # fmt: skip

PAPERS: tuple[Claim, ...] = THEORY + MIXTURE + IMAGES + TEXT + LOOPS + ANSWERS
CLAIMS: tuple[Claim, ...] = PAPERS + PRESS

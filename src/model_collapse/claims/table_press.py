"""The press's rows: what popular accounts say, whether their source says it, and what the records show."""

from __future__ import annotations

from . import rules_images as images
from . import rules_mixture as mixture
from . import rules_text as text
from . import rules_theory as theory
from .claim import Claim, SourceCheck

__all__ = ["PRESS"]

GROUP = "Press"
ARTICLE = "popular accounts of Nature 2024"

RARE = "Rare information is gone within five generations"
TENTH = "Keeping 10 % of the original data eased the problem"
ADDING = "Adding synthetic data to human data, in place of swapping them, does no major harm"

RARE_CHECK = SourceCheck("not found", "Nature 2024, main text", "no number of generations is given for rare facts")
TENTH_CHECK = SourceCheck("stated", "Nature 2024, figure 1c",
                          "minor degradation only, though that arm also trains for twice the epochs")  # fmt: skip
ADDING_CHECK = SourceCheck("stated otherwise", "2404.01413; 2307.01850, figure 8",
                           "bounded for regression and language models; slower decline for face images")  # fmt: skip


def _needs(family: str, **studies: str) -> dict:
    return {alias: (family, study) for alias, study in studies.items()}


def _press(id: str, family: str, statement: str, paper: str, check: SourceCheck, needs: dict, rule) -> Claim:
    return Claim(id, family, GROUP, statement, ARTICLE, paper, needs, rule, source_check=check)


def _parent(id: str, statement: str, paper: str, check: SourceCheck, *families: str) -> Claim:
    children = tuple(f"{id}.{family}" for family in families)
    return Claim(id, "several", GROUP, statement, ARTICLE, paper, gives=(), children=children, source_check=check)


PRESS: tuple[Claim, ...] = (
    _press("P-a", "llm", "Diversity falls to about 85, 65, 30 and under 10 % at generations 2, 3, 5 and 9",
           "100 / 85 / 65 / 30 / under 10 %",
           SourceCheck("not found", "Nature 2024, main text", "the main text has no percentage of diversity at all"),
           _needs("llm", run="beam5-replace"), text.p_a),
    _parent("P-b", RARE, "5 generations", RARE_CHECK, "theory", "llm"),
    _press("P-b.theory", "discrete", RARE + ": exact fit", "5 generations", RARE_CHECK,
           _needs("discrete", replace="words-replace"), theory.p_b_theory),
    _press("P-b.llm", "llm", RARE + ": language model, five beams", "5 generations", RARE_CHECK,
           _needs("llm", replace="beam5-replace"), text.p_b_llm),
    _press("P-c", "gan", "Artefacts are visible by the third synthetic generation", "generation 3",
           SourceCheck("stated otherwise", "2307.01850, figures 1 and 19",
                       "the figure shows mild cross-hatching at t = 3, for one architecture, and names no threshold"),
           _needs("gan", run="replace-unbiased"), images.p_c),
    Claim("P-d", "llm", GROUP, "The jackrabbit text comes from a study at Stanford and Rice", ARTICLE, "none",
          gives=(),
          source_check=SourceCheck("misattributed", "Nature 2024, example 1",
                                   "by authors at Oxford, Cambridge, Imperial, Toronto and Edinburgh; the study with "
                                   "Rice and Stanford authors, 2307.01850, is about images")),
    _press("P-e", "gmm", "A Gaussian mixture is lost in some dozens of cycles and a point by 2000",
           "50 and 2000 generations, as reported by secondary sources",
           SourceCheck("stated", "Nature 2024, supplement section 4 (second-hand) and released notebook",
                       "both numbers are there, for 1000 samples a generation"),
           _needs("gmm", run="blob-replace"), mixture.p_e),
    _press("P-f", "gan", "Faces made by a network trained on its own faces all look alike", "none",
           SourceCheck("stated otherwise", "2307.01850, figures 4 and 6",
                       "so with sampling bias; without it the faces also fill with artefacts"),
           _needs("gan", truncated="replace-truncated"), images.p_f),
    _parent("P-g", TENTH, "minor degradation", TENTH_CHECK, "gmm", "vae", "llm"),
    _press("P-g.gmm", "gmm", TENTH + ": mixture", "minor degradation", TENTH_CHECK,
           _needs("gmm", keep="blob-keep10", replace="blob-replace"), mixture.p_g_gmm),
    _press("P-g.vae", "vae", TENTH + ": digits", "minor degradation", TENTH_CHECK,
           _needs("vae", keep="stream-keep10", replace="stream-replace"), images.p_g_vae),
    _press("P-g.llm", "llm", TENTH + ": language model", "minor degradation", TENTH_CHECK,
           _needs("llm", keep="beam5-keep10", replace="beam5-replace"), text.p_g_llm),
    _parent("P-h", ADDING, "at most 1.645 times (regression)", ADDING_CHECK, "theory", "vae", "llm", "faces"),
    _press("P-h.theory", "gaussian", ADDING + ": Gaussian", "at most 1.645 times (regression)", ADDING_CHECK,
           _needs("gaussian", accumulate="accumulate", replace="replace"), theory.p_h_theory),
    _press("P-h.vae", "vae", ADDING + ": digits", "slower decline (faces), as reported by secondary sources",
           ADDING_CHECK, _needs("vae", accumulate="stream-accumulate", replace="stream-replace"), images.p_h_vae),
    _press("P-h.llm", "llm", ADDING + ": language model",
           "1.82 to 1.74 nats at t = 4, as reported by secondary sources", ADDING_CHECK,
           _needs("llm", accumulate="beam5-accumulate", replace="beam5-replace"), text.p_h_llm),
    _press("P-h.faces", "gan", ADDING + ": faces", "slow decline, Fréchet axis 5 to 20", ADDING_CHECK,
           _needs("gan", accumulate="accumulate-unbiased", replace="replace-unbiased"), images.p_h_faces),
    _press("P-i", "gaussian", "Without enough human data collapse is a mathematical certainty", "limit 0",
           SourceCheck("stated otherwise", "Nature 2024, theorem 3.1; 2404.01413",
                       "a theorem for samples that replace one another, in the limit; bounded where they accumulate"),
           _needs("gaussian", replace="replace", accumulate="accumulate"), theory.p_i),
    _press("P-j", "vae", "Minorities are lost early while overall measures still look well", "none",
           SourceCheck("stated otherwise", "Nature 2024, definition 2.1 and discussion",
                       "tails go first in early collapse; that overall measures hold is not said, and its mean "
                       "perplexity worsens too"),
           _needs("vae", run="minority-replace"), images.p_j),
)  # fmt: skip

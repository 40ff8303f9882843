"""How well a model predicts human text, and how varied what it writes is.

Perplexity has two definitions, and sources do not say which they use: the exponential of the mean loss over all tokens,
and the mean over blocks of each block's own. Blocks are independent, so early tokens have little to go by, and the
numbers are far above those of long contexts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from .. import diversity
from ..datasets import word_counts
from ..device import Compute
from .finetune import token_losses

__all__ = ["DIVERSITY_TOKENS", "Yardstick", "block_losses", "perplexities"]

DIVERSITY_TOKENS = 100_000  # of a sample, on which diversity is measured, so that sizes never differ
BANDS = {"unseen": 0, "once": 1, "rare": 2, "some": 3, "often": 4, "common": 5}  # of `diversity.EDGES`
INSIDE = re.compile(r"\s(.*)\s", re.DOTALL)  # a text without what stands before its first and after its last space


@torch.no_grad()
def block_losses(model: PreTrainedModel, ids: np.ndarray, compute: Compute, batch: int = 128) -> np.ndarray:
    """Mean loss of each block in nats a token, shape (blocks,), of blocks (blocks, length)."""
    found = []
    for some in torch.from_numpy(ids.astype(np.int64)).split(batch):
        with compute.autocast():
            found.append(token_losses(model, some.to(compute.device)).double().mean(dim=1).cpu().numpy())
    return np.concatenate(found)


def perplexities(losses: np.ndarray, ids: np.ndarray, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """What the losses of human blocks come to.

    ``perplexity``: exponential of the mean loss; ``perplexity_of_blocks``: mean of the blocks' own perplexities;
    ``cross_entropy``: the mean loss in nats a token; ``bits_per_byte``: the loss of the predicted tokens over the bytes
    that they stand for (``<unk>`` counts as the text that it is in WikiText, the end token as none), which compares
    models with different tokenizers.
    """
    predicted, mean = ids[:, 1:], float(losses.mean())
    parts = tokenizer.batch_decode(predicted, skip_special_tokens=False)
    size = sum(len(part.replace(tokenizer.eos_token or "", "").encode()) for part in parts)
    return {
        "perplexity": math.exp(mean),
        "perplexity_of_blocks": float(np.exp(losses).mean()),
        "cross_entropy": mean,
        "bits_per_byte": mean * predicted.size / math.log(2) / size,
    }


class Yardstick:
    """Human text that models are held against.

    Parameters
    ----------
    train, valid, test : numpy.ndarray of int, shape (blocks, length)
        What models learn from, what may steer them, and what perplexity is measured on.
    batch : int
        Blocks that are read at once.
    minor : numpy.ndarray of int or None
        The test text in the dialect of a two-part text, shape (blocks, length).
    """

    def __init__(
        self, train, valid, test, tokenizer: PreTrainedTokenizerFast, compute: Compute, batch: int = 128, minor=None
    ):
        self.train, self.valid, self.test, self.minor, self.tokenizer = train, valid, test, minor, tokenizer
        self.compute, self.batch = compute, batch

    def losses(self, model: PreTrainedModel, ids: np.ndarray) -> np.ndarray:
        """See `block_losses`."""
        return block_losses(model, ids, self.compute, self.batch)

    def validation(self, model: PreTrainedModel) -> float:
        """Mean loss on human validation text, in nats a token."""
        return float(self.losses(model, self.valid).mean())

    def measures(
        self, model: PreTrainedModel, ids: np.ndarray, pool: np.ndarray, rng: np.random.Generator
    ) -> dict[str, float]:
        """Perplexity of human test text under the model, diversity of what it wrote, survival in what it learned from.

        Parameters
        ----------
        ids, pool : numpy.ndarray of int, shape (blocks, length)
            What it wrote, and what it learned from.

        Returns
        -------
        dict
            Beside `perplexities`, on the first 100,000 tokens that it wrote: ``type_token_ratio`` (which is
            distinct-1), ``distinct_2``, ``distinct_3``, ``repeated_2`` to ``repeated_4`` (within blocks),
            ``self_bleu``, ``vocabulary``, ``syntactic_diversity`` and ``semantic_diversity`` (0 where hardly a word is
            left to compare); all but Self-BLEU also of the human text, as ``human_<name>``. On all that it wrote
            ``mass_<band>``: share of tokens whose count in the human text is 0 (unseen), 1, 2 to 4, 5 to 9, 10 to 99,
            100 and more. In the pool, so that g counts the rounds of synthetic text as in the theory:
            ``survival_<band>``, share of the human text's tokens of that count that are still there, and ``lost_1``,
            ``lost_5plus``, shares of the *words* that occur once, and five times or more, in the human text and nowhere
            in the pool; only words that lie whole within a block count. Of a two-part text also ``minor_<name>`` of
            each of `perplexities`, on the test text in the dialect.
        """
        found = perplexities(self.losses(model, self.test), self.test, self.tokenizer)
        if self.minor is not None:
            minor = perplexities(self.losses(model, self.minor), self.minor, self.tokenizer)
            found |= {f"minor_{name}": value for name, value in minor.items()}
        some = ids[: DIVERSITY_TOKENS // ids.shape[1]]
        found |= self._variety(some) | {"self_bleu": diversity.self_bleu(some, rng=rng)} | self._human_variety
        counts = np.bincount(self.train.ravel(), minlength=model.get_input_embeddings().num_embeddings)
        mass, alive = diversity.tail_mass(ids, counts), diversity.survival(pool, counts)
        found |= {f"mass_{name}": mass[band] for name, band in BANDS.items()}
        found |= {f"survival_{name}": alive[band - 1] for name, band in BANDS.items() if band and alive[band - 1] >= 0}
        return found | self._lost(pool)

    def _variety(self, ids: np.ndarray) -> dict[str, float]:
        texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        found = {"type_token_ratio": diversity.type_token_ratio(ids), "vocabulary": diversity.vocabulary(ids)}
        found |= {f"distinct_{n}": diversity.distinct(ids, n) for n in (2, 3)}
        found |= {f"repeated_{n}": diversity.repeated_share(ids, n) for n in (2, 3, 4)}
        found |= {"syntactic_diversity": _or_none_left(diversity.syntactic_diversity, texts)}
        return found | {"semantic_diversity": _or_none_left(diversity.semantic_diversity, texts, self._embed)}

    @cached_property
    def _human_variety(self) -> dict[str, float]:
        some = self.train[: DIVERSITY_TOKENS // self.train.shape[1]]
        return {f"human_{name}": value for name, value in self._variety(some).items()}

    def _lost(self, pool: np.ndarray) -> dict[str, float]:
        """Shares of the human text's words that are not in the pool, by how often they occur there."""
        there = self._words_of(pool).keys()
        once = [word for word, count in self._words.items() if count == 1]
        often = [word for word, count in self._words.items() if count >= 5]
        return {
            name: float(np.mean([word not in there for word in words]))
            for name, words in (("lost_1", once), ("lost_5plus", often))
            if words
        }

    @cached_property
    def _words(self) -> dict[str, int]:
        return self._words_of(self.train)

    def _words_of(self, ids: np.ndarray) -> dict[str, int]:
        """How often each word lies whole within a block: what stands at a border may be part of a longer one."""
        texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return word_counts("\n".join(found[1] for text in texts if (found := INSIDE.search(text))))

    @cached_property
    def _embed(self):
        texts = self.tokenizer.batch_decode(self.train, skip_special_tokens=True)
        return diversity.fit_embedding(texts, min(100, len(texts) // 2))


def _or_none_left(measure: Callable[..., float], *given) -> float:
    """A measure of diversity, which is 0 where so few words are left that it has nothing to compare."""
    try:
        return measure(*given)
    except ValueError:
        return 0.0

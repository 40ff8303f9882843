"""A statistical watermark of sampled text, and its detector (Kirchenbauer et al., 2023), both from transformers.

The token before decides by a keyed hash which quarter of the vocabulary is *green*; the logits of green tokens are
raised by a bias before a token is drawn. Whoever has the key counts green tokens: without a watermark a quarter of them
are, and the excess in standard deviations is the z-score of a passage. A pair of tokens that a passage repeats counts
once.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from transformers import OPTConfig, WatermarkDetector, WatermarkLogitsProcessor

__all__ = ["GREEN", "LENGTHS", "SCHEME", "THRESHOLD", "detected", "marked"]

GREEN = 0.25
SCHEME = {"greenlist_ratio": GREEN, "seeding_scheme": "lefthash", "context_width": 1}
THRESHOLD = 4.0  # of the z-score: by chance three passages in a hundred thousand
LENGTHS = (16, 32, 64, 128, 256)
"""Of passages, in tokens."""


def marked(before: torch.Tensor, logits: torch.Tensor, bias: float) -> torch.Tensor:
    """Logits (rows, vocabulary) with the bias on the tokens that are green after `before`, (rows, tokens)."""
    return _marker(logits.shape[-1], bias, logits.device.type)(before, logits)


@functools.lru_cache(maxsize=4)
def _marker(vocabulary: int, bias: float, device: str) -> WatermarkLogitsProcessor:
    return WatermarkLogitsProcessor(vocabulary, device, bias=bias, **SCHEME)


def detected(ids: np.ndarray, vocabulary: int) -> dict[str, float]:
    """What the detector finds in blocks of one text, (blocks, tokens).

    Returns
    -------
    dict
        ``green_share`` of all tokens that have one before them in their block; and, of passages of `LENGTHS` tokens
        (whole blocks are joined for the longer ones), ``detected_<length>``: the share with a z-score above
        `THRESHOLD`. Lengths of which there is no passage are left out.
    """
    every = _detector(vocabulary, False)(torch.from_numpy(ids.astype(np.int64)), return_dict=True)
    found = {"green_share": float(every.num_green_tokens.sum() / every.num_tokens_scored.sum())}
    for length in LENGTHS:
        cut = ids[:, : ids.shape[1] // length * length] if length <= ids.shape[1] else ids
        passages = cut.ravel()[: cut.size // length * length].reshape(-1, length)
        if len(passages):
            hits = _detector(vocabulary, True)(torch.from_numpy(passages.astype(np.int64)), z_threshold=THRESHOLD)
            found[f"detected_{length}"] = float(hits.mean())
    return found


@functools.lru_cache(maxsize=4)
def _detector(vocabulary: int, once: bool) -> WatermarkDetector:
    config, scheme = OPTConfig(vocab_size=vocabulary), SCHEME | {"bias": 0.0}
    config.bos_token_id = -1  # no passage begins with a token that does not count
    return WatermarkDetector(config, "cpu", scheme, ignore_repeated_ngrams=once, max_cache_size=2**20)

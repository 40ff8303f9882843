"""How well a model predicts human text, block by block.

Perplexity has two definitions, and sources do not say which they use: the exponential of the mean loss over all tokens,
and the mean over blocks of each block's own. Blocks are independent, so early tokens have little to go by, and the
numbers are far above those of long contexts.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..device import Compute
from .finetune import token_losses

__all__ = ["block_losses", "perplexities"]

BATCH = 128


@torch.no_grad()
def block_losses(model: PreTrainedModel, ids: np.ndarray, compute: Compute) -> np.ndarray:
    """Mean loss of each block in nats a token, shape (blocks,), of blocks (blocks, length)."""
    found = []
    for some in torch.from_numpy(ids.astype(np.int64)).split(BATCH):
        with compute.autocast():
            found.append(token_losses(model, some.to(compute.device)).double().mean(dim=1).cpu().numpy())
    return np.concatenate(found)


def perplexities(losses: np.ndarray, ids: np.ndarray, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """What the losses of human blocks come to.

    ``perplexity``: exponential of the mean loss; ``perplexity_of_blocks``: mean of the blocks' own perplexities;
    ``cross_entropy``: the mean loss in nats a token; ``bits_per_byte``: the loss of the predicted tokens over the bytes
    that they stand for, which compares models with different tokenizers.
    """
    predicted = ids[:, 1:]
    text = tokenizer.batch_decode(predicted, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    size = sum(len(part.encode()) for part in text)
    mean = float(losses.mean())
    return {
        "perplexity": math.exp(mean),
        "perplexity_of_blocks": float(np.exp(losses).mean()),
        "cross_entropy": mean,
        "bits_per_byte": mean * predicted.size / math.log(2) / size,
    }

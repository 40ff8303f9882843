"""From text to blocks of tokens, the way OPT and the released code do it (Shumailov et al., Nature 2024, `dataset.py`).

Text is encoded line by line, an empty line included, each with ``</s>`` before it; the lines are joined and cut into
blocks of equal length. Ids are OPT's: ``<s>`` 0, ``<pad>`` 1, ``</s>`` 2, ``<unk>`` 3. The released code drops a
remainder for every batch of lines that it maps; here one remainder is dropped, at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from ..datasets import DataError

__all__ = ["BLOCK", "SPECIAL", "cut", "encode", "opt_tokenizer", "train_tokenizer"]

BLOCK = 64
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `vocabulary` entries, learned from the texts; every string can be encoded with it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finished(tokenizer)


def opt_tokenizer(vocab: Path, merges: Path) -> PreTrainedTokenizerFast:
    """OPT's tokenizer from the two files that GPT-2's has, in OPT's numbering.

    Raises
    ------
    DataError
        Where a file is missing or is not what it should be.
    """
    try:
        numbers = json.loads(vocab.read_text(encoding="utf-8"))
        lines = merges.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"OPT's tokenizer: {Path(error.filename).name} is not here ({error.strerror})") from None
    except ValueError as error:
        raise DataError(f"OPT's tokenizer cannot be read from {vocab.name} and {merges.name}: {error}") from None
    if not isinstance(numbers, dict) or any(numbers.get(name) != number for number, name in enumerate(SPECIAL)):
        raise DataError(f"{vocab.name} does not number {', '.join(SPECIAL)} from 0 as OPT's tokenizer does")
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    try:
        tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=pairs))
    except Exception as error:  # the library raises bare ones
        raise DataError(f"{merges.name} does not go with {vocab.name}: {error}") from None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _finished(tokenizer)


def _finished(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer.decoder = decoders.ByteLevel()
    end = SPECIAL[2]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{end} $A", special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    names = dict(
        zip(("bos_token", "pad_token", "eos_token", "unk_token"), (end, SPECIAL[1], end, SPECIAL[3]), strict=True)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def encode(text: str, tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """The ids of a text, line by line, shape (tokens,)."""
    lines = [line if line.strip() else "" for line in text.splitlines(keepends=True)]
    return np.concatenate([[], *(tokenizer(lines)["input_ids"] if lines else [])]).astype(np.int32)


def cut(ids: np.ndarray, length: int = BLOCK) -> np.ndarray:
    """Ids as blocks, shape (blocks, length); what does not fill a block at the end is dropped.

    Raises
    ------
    DataError
        Where there is not one whole block.
    """
    count = len(ids) // length
    if not count:
        raise DataError(f"{len(ids)} tokens are too few for one block of {length}")
    return ids[: count * length].reshape(count, length)

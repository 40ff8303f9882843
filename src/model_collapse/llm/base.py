"""The model that every generation starts from: one by name or folder, or one of our own, pre-trained on books.

The weights of facebook/opt-125m are not everywhere, so the project has bases of the same architecture: `laptop`, which
lies in ``data/base/`` and is small enough for two cores, and `paper`, of OPT-125m's shape and with its tokenizer, which
is made where there is a GPU and lives in the cache.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedTokenizerFast,
)

from .. import datasets, device
from ..archive import ArchiveError
from ..archive.files import digest, file_digest, read_sealed, write_sealed
from ..checkpoints import fill, go_on, keep, take
from ..datasets import DataError
from ..places import CHECKOUT, cache_root
from ..runs import ConfigError
from .finetune import token_losses
from .measure import block_losses
from .ngram import Trigrams
from .tokens import BLOCK, cut, encode, opt_tokenizer, train_tokenizer

__all__ = [
    "SHAPES",
    "Shape",
    "base_card",
    "base_digest",
    "base_root",
    "load_base",
    "make_base",
    "new_model",
    "pretrain",
    "rounded_up",
]

EVERY = 200  # steps between two checkpoints
HELD_OUT = 8  # books
FILES = (".safetensors", ".bin", ".json", ".txt", ".model")  # that make up a base in a folder


@dataclass(frozen=True)
class Shape:
    """A base: its network, and how it is pre-trained.

    Attributes
    ----------
    vocabulary : int
        Of a byte-level BPE of its own; `opt` takes OPT's tokenizer instead.
    pretrained : bool
        Whether there is a base of this shape; the others are for learning from scratch.
    context : int
        Tokens of a block in pre-training, and the most that it reads: prompt and continuation.
    tokens : int
        That pre-training sees.
    """

    layers: int
    width: int
    heads: int
    vocabulary: int
    opt: bool = False
    pretrained: bool = False
    context: int = 128
    tokens: int = 20_000_000
    batch: int = 64
    rate: float = 2e-3
    warm_up: int = 100


SHAPES = {
    "smoke": Shape(1, 32, 2, 400, tokens=20_000, batch=8, warm_up=4),
    "quick": Shape(2, 64, 2, 1024),
    "laptop": Shape(4, 192, 6, 8192, pretrained=True),
    "paper": Shape(
        12, 768, 12, 50_272, opt=True, pretrained=True, tokens=150_000_000, batch=256, rate=6e-4, warm_up=500
    ),
}


def new_model(shape: Shape, vocabulary: int, rng: np.random.Generator) -> OPTForCausalLM:
    """An OPT network of that shape with weights drawn from `rng`; the end token is 2 and the pad token 1."""
    config = OPTConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        word_embed_proj_dim=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        ffn_dim=4 * shape.width,
        max_position_embeddings=shape.context,
        bos_token_id=2,
        eos_token_id=2,
        pad_token_id=1,
    )
    with device.seeded(rng):
        return OPTForCausalLM(config)


def pretrain(
    shape: Shape,
    texts: list[str],
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    *,
    seed: int = 0,
    compute: device.Compute | None = None,
    on: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> OPTForCausalLM:
    """Pre-train a base on texts, in blocks drawn at random, and leave it in a folder with its card.

    Adam with a warm-up and half a cosine, no dropout. It goes on where it was when it is called again for the same
    shape, seed and texts. `on` hears the step, their number and the mean loss since it last heard.

    Raises
    ------
    ConfigError
        Where the loss is no longer a number.
    """
    compute = compute or device.compute()
    blocks = cut(np.concatenate([encode(text, tokenizer) for text in texts]), shape.context)
    steps = -(-shape.tokens // (shape.batch * shape.context))
    model = new_model(shape, rounded_up(len(tokenizer)), np.random.default_rng(seed)).to(compute.device).train()
    for module in model.modules():
        if hasattr(module, "dropout"):
            module.dropout = 0.0
    optimiser = torch.optim.AdamW(model.parameters(), lr=shape.rate, betas=(0.9, 0.95), weight_decay=0.1)
    same = digest([asdict(shape), seed, hashlib.sha256(blocks.tobytes()).hexdigest()])
    state = folder / f"pretraining-{same[:16]}.state"
    order = _order(len(blocks), steps * shape.batch, seed)
    begin, since, total = go_on(state, model, optimiser), time.perf_counter(), 0.0
    for step in range(begin, steps):
        for group in optimiser.param_groups:
            group["lr"] = _rate(shape, step, steps)
        rows = torch.from_numpy(blocks[order[step * shape.batch : (step + 1) * shape.batch]].astype(np.int64))
        with compute.autocast():
            loss = token_losses(model, rows.to(compute.device)).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        total += float(loss.detach())
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            if not np.isfinite(total):
                raise ConfigError(f"pre-training, step {step + 1}: the loss is {total}; what was done before is kept")
            keep(state, model, step + 1, optimiser)
            on(step + 1, steps, total / (1 + (step % EVERY)))
            total = 0.0
    pace = (steps - begin) * shape.batch * shape.context / (time.perf_counter() - since)
    _leave(model, tokenizer, shape, folder, {"seed": seed, "blocks": len(blocks), "tokens_per_second": round(pace)})
    state.unlink(missing_ok=True)
    return model.eval()


def _order(blocks: int, wanted: int, seed: int) -> np.ndarray:
    """Numbers of blocks, as many as wanted: every block once in each round, in another order."""
    rng = np.random.default_rng([seed, 1])
    return np.concatenate([rng.permutation(blocks) for _ in range(-(-wanted // blocks))])[:wanted]


def _rate(shape: Shape, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    if step < shape.warm_up:
        return shape.rate * (step + 1) / shape.warm_up
    done = (step - shape.warm_up) / max(steps - shape.warm_up, 1)
    return shape.rate * (0.1 + 0.45 * (1 + np.cos(np.pi * done)))


def rounded_up(count: int, to: int = 8) -> int:
    """A vocabulary's size as a multiple, which matrix units like."""
    return -(-count // to) * to


def _leave(model, tokenizer, shape: Shape, folder: Path, how: dict[str, int]) -> None:
    """Weights in bf16, configuration, tokenizer, and a card."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    save_file({name: x.cpu().bfloat16().contiguous() for name, x in take(model).items()}, path)
    model.config.to_json_file(folder / "config.json")
    tokenizer.save_pretrained(folder)
    card = {"shape": asdict(shape), "parameters": model.num_parameters(), "files": _digests(folder)}
    write_sealed(folder / "card.json", card | how | {"machine": device.machine(torch.get_num_threads())})


def make_base(
    name: str,
    folder: Path,
    *,
    seed: int = 0,
    on: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> dict:
    """Make a base of the project anew from the books, and return its card.

    The last books are held out. The card says how well it predicts them in blocks of 64 tokens, beside a trigram model
    of the very tokens that it has seen. A base that lies there, of that seed and shape, is not trained again.

    Raises
    ------
    DataError
        Where the books, or OPT's tokenizer for a base that has it, are not there.
    """
    shape, texts = SHAPES[name], datasets.books()
    seen, held = texts[:-HELD_OUT], texts[-HELD_OUT:]
    if not _made(folder, shape, seed):
        tokenizer = _opt_tokenizer() if shape.opt else train_tokenizer(seen[::4], shape.vocabulary)
        pretrain(shape, seen, tokenizer, folder, seed=seed, on=on)
    model, tokenizer = _own(folder)
    compute = device.compute()
    tested = cut(np.concatenate([encode(text, tokenizer) for text in held]))
    ours = block_losses(model.to(compute.device), tested, compute).mean()
    blocks = cut(np.concatenate([encode(text, tokenizer) for text in seen]), shape.context)
    some = blocks[np.unique(_order(len(blocks), -(-shape.tokens // shape.context), seed))]
    theirs = Trigrams(some.reshape(-1, BLOCK), len(tokenizer)).token_losses(tested).mean()
    held_out = {"books": HELD_OUT, "perplexity": float(np.exp(ours)), "trigram_perplexity": float(np.exp(theirs))}
    card = _card(folder) | {"held_out": held_out}
    write_sealed(folder / "card.json", card)
    return card


def _made(folder: Path, shape: Shape, seed: int) -> bool:
    """Whether a base of that shape and seed lies there; `ArchiveError` where it is of another."""
    if not (folder / "card.json").is_file():
        return False
    card = _card(folder)
    if card["shape"] != asdict(shape) or card["seed"] != seed:
        raise ArchiveError(f"base at {folder.name}: another shape or seed; take another folder, or delete it")
    return True


def _opt_tokenizer() -> PreTrainedTokenizerFast:
    folder = Path(os.environ.get("MODEL_COLLAPSE_DATA") or ".") / "opt-bpe"
    return opt_tokenizer(folder / "gpt2-vocab.json", folder / "gpt2-merges.txt")


def base_root() -> Path:
    """Where committed bases lie: ``MODEL_COLLAPSE_BASE``, or ``data/base`` of the checkout."""
    given = os.environ.get("MODEL_COLLAPSE_BASE")
    return Path(given) if given else CHECKOUT / "data" / "base"


def base_card(name: str) -> dict:
    """What is known of a base of our own: shape, seed, machine, checksum, and how well it predicts unseen books.

    Raises
    ------
    DataError
        Where it is nowhere to be found.
    """
    for folder in _places(name):
        if (folder / "card.json").is_file():
            return _card(folder)
    raise _missing(name)


def base_digest(name: str) -> str:
    """What tells one base from another: a checksum of its weights and tokenizer, or its commit on the hub.

    Raises
    ------
    DataError
        Where it is nowhere to be found.
    """
    folder = _found(name)
    if folder is None:
        return str(_asked(name, AutoConfig)._commit_hash)
    return digest(_digests(folder))


def load_base(name: str) -> tuple[OPTForCausalLM, PreTrainedTokenizerFast]:
    """A base of our own by name, or any causal model by folder or by its name on the hub, in single precision.

    Raises
    ------
    DataError
        Where it is nowhere to be found; the message says what would provide it. Where a base of our own predicts unseen
        books no better than a trigram model.
    ArchiveError
        Where the files of a base of our own are not those of its card.
    """
    folder = _found(name)
    if folder is None:
        return _of_library(name)
    if not (folder / "card.json").is_file():
        return _of_library(str(folder))
    found = _card(folder).get("held_out")
    if found and found["perplexity"] >= found["trigram_perplexity"]:
        raise DataError(
            f"base {name!r} has a perplexity of {found['perplexity']:.0f} on unseen books, a trigram model "
            f"{found['trigram_perplexity']:.0f}: it is not used, pre-train it anew"
        )
    return _own(folder)


def _digests(folder: Path) -> dict[str, str]:
    """The checksum of each of its files, but for the card, by name."""
    files = sorted(path for path in folder.iterdir() if path.suffix in FILES and path.name != "card.json")
    return {path.name: file_digest(path) for path in files}


def _found(name: str) -> Path | None:
    """The folder of a base; None for a name that only the hub can know. `DataError` for one of our own that is gone."""
    for folder in _places(name):
        if (folder / "config.json").is_file():
            return folder
    if name in SHAPES:
        raise _missing(name)
    return None


def _missing(name: str) -> DataError:
    return DataError(f"base {name!r} is not here: model-collapse pretrain {name} makes it, given the books")


def _card(folder: Path) -> dict:
    return read_sealed(folder / "card.json")


def _places(name: str) -> Iterator[Path]:
    if name in SHAPES:
        yield from (base_root() / name, cache_root() / "base" / name)
    else:
        yield Path(name)


def _own(folder: Path) -> tuple[OPTForCausalLM, PreTrainedTokenizerFast]:
    claimed, found = _card(folder)["files"], _digests(folder)
    if wrong := [name for name in claimed if found.get(name) != claimed[name]]:
        raise ArchiveError(f"base at {folder.name}: {', '.join(wrong)} missing or not what its card says")
    model = OPTForCausalLM(OPTConfig.from_json_file(folder / "config.json"))
    fill(model, load_file(folder / "model.safetensors"))
    return model.eval(), PreTrainedTokenizerFast.from_pretrained(folder)


def _of_library(name: str):
    model, tokenizer = _asked(name, AutoModelForCausalLM, dtype=torch.float32), _asked(name, AutoTokenizer)
    size = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > size:
        raise DataError(f"base {name!r}: its tokenizer has {len(tokenizer)} entries, its network {size}")
    return model.eval(), tokenizer


def _asked(name: str, kind: type, **options):
    """What the library gives for a name, one of its `Auto` classes, without word of its tries where there is no hub."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"base {name!r} cannot be loaded ({reason}): give a folder with its files, as `hf download NAME "
            f"--local-dir FOLDER` makes one where there is a network, or one of {', '.join(SHAPES)}"
        ) from None

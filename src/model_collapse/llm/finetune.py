"""Fine-tuning on blocks of tokens, as the released code does it (Shumailov et al., Nature 2024, `main.py`).

AdamW with the library's defaults, cosine annealing from epoch to epoch down to 1e-6, no warm-up, no clipping. Labels
are inputs, and a block predicts every token but its first. Processes that ``accelerate launch`` or ``torchrun`` started
share each batch between them, and all make the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch.nn import functional as F
from transformers import PreTrainedModel

from ..checkpoints import fill, get, go_on, keep, put, take
from ..device import Compute, rows_in_cache, seeded
from ..runs import Diverged

__all__ = ["Schedule", "fine_tune", "token_losses"]

LAST_RATE = 1e-6


@dataclass(frozen=True)
class Schedule:
    """How long, in which steps and how fast a model learns, and with which attention: "fused" or "plain"."""

    epochs: int = 5
    batch: int = 128
    rate: float = 2e-5
    attention: str = "fused"

    def rate_at(self, epoch: int) -> float:
        """The rate of an epoch, counted from 0, annealed along half a cosine."""
        return LAST_RATE + 0.5 * (self.rate - LAST_RATE) * (1 + math.cos(math.pi * epoch / self.epochs))


def token_losses(model: PreTrainedModel, blocks: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood in nats of every token of a block but the first, shape (blocks, length - 1).

    Logits are made only where there is a next token, so that none of their large array is ever copied.
    """
    there = torch.arange(blocks.shape[1] - 1, device=blocks.device)
    logits = model(input_ids=blocks, logits_to_keep=there).logits.flatten(0, 1)
    return _CrossEntropy.apply(logits, blocks[:, 1:].flatten()).view_as(blocks[:, 1:])


class _CrossEntropy(torch.autograd.Function):
    """Cross-entropy of every row of logits, as many rows at a time as stay in a processor's cache.

    It has the bits of ``cross_entropy(logits.float(), targets, reduction="none")`` in half its time and a third of its
    memory on a processor, for no array of all logits in single precision is made there.
    """

    @staticmethod
    def forward(ctx, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(logits, targets)
        parts = _CrossEntropy._parts(logits, targets)
        return torch.cat([F.cross_entropy(some.float(), ids, reduction="none") for some, ids in parts])

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        logits, targets = ctx.saved_tensors
        found = torch.empty_like(logits)
        for there, some, ids, factor in _CrossEntropy._parts(found, logits, targets, gradient):
            known = torch.log_softmax(some.float(), dim=-1)
            upward = torch.zeros_like(known).scatter_(1, ids[:, None], -factor[:, None])
            there.copy_(torch._log_softmax_backward_data(upward, known, -1, torch.float32))
        return found, None

    @staticmethod
    def _parts(*arrays: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
        return zip(*(x.split(rows_in_cache(arrays[0])) for x in arrays), strict=True)


def fine_tune(
    model: PreTrainedModel,
    ids: np.ndarray,
    rows: int,
    schedule: Schedule,
    rng: np.random.Generator,
    compute: Compute,
    *,
    checkpoint: Path | None = None,
    judge: Callable[[PreTrainedModel], float] | None = None,
    on: Callable[[int, float], None] = lambda epoch, loss: None,
) -> PreTrainedModel:
    """Train a model, in place, for `schedule.epochs` epochs of `rows` blocks each, and return it for reading.

    Parameters
    ----------
    ids : numpy.ndarray of int, shape (blocks, length)
        A larger pool than `rows` gives each epoch other blocks of it, so that pools that grow get no more steps.
    rng : numpy.random.Generator
        Each epoch has its own randomness, so a fit that finds its `checkpoint`, a file, goes on as if it had not
        stopped. The file stays, so that what comes after a fit may stop as well; who fits deletes it later.
    judge : callable or None
        The loss by which the weights of the best epoch are chosen; None takes those of the last.

    Raises
    ------
    Diverged
        Where the mean loss of an epoch is not finite.
    """
    accelerator = Accelerator(cpu=compute.device == "cpu", mixed_precision="no")  # `compute` sees to precision
    optimiser = torch.optim.AdamW(model.parameters(), lr=schedule.rate)
    wrapped, optimiser = accelerator.prepare(model, optimiser)
    seeds = rng.integers(2**63, size=(schedule.epochs, 2))
    begin = go_on(checkpoint, model, optimiser)
    blocks = torch.from_numpy(ids.astype(np.int64)).to(compute.device)
    best = _Best(judge, checkpoint)
    for epoch in range(begin, schedule.epochs):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(epoch)
        order = np.random.default_rng(seeds[epoch, 0]).permutation(len(ids))[:rows]
        with (
            seeded(np.random.default_rng([seeds[epoch, 1], accelerator.process_index])),  # dropout
            _attention(model, schedule.attention),
        ):
            loss = _epoch(wrapped, optimiser, blocks, order, schedule.batch, accelerator, compute)
        if not np.isfinite(loss):
            raise Diverged(f"epoch {epoch + 1}: the loss is {loss}")
        best.look(model)
        keep(checkpoint, model, epoch + 1, optimiser)
        on(epoch, loss)
    best.give(model)
    return model.eval()


@contextmanager
def _attention(model: PreTrainedModel, kind: str) -> Iterator[None]:
    """Learn with the attention of that kind: what the model came with, or without fusion.

    The gradient of fused attention takes a third of a step of a processor on blocks of 64 tokens.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation("eager" if kind == "plain" else before)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


class _Best:
    """The weights of the epoch that a judge found best, on the disk where there is a checkpoint."""

    def __init__(self, judge: Callable[[PreTrainedModel], float] | None, checkpoint: Path | None):
        self.judge = judge
        self.path = checkpoint.with_name(f"best-{checkpoint.name}") if judge and checkpoint else None
        self.arrays = get(self.path) if self.path is not None and self.path.exists() else None

    def look(self, model: PreTrainedModel) -> None:
        if self.judge is None:
            return
        loss = broadcast_object_list([self.judge(model.eval())])[0]  # all processes choose the same epoch
        if self.arrays is None or loss < float(self.arrays["loss"]):
            self.arrays = {name: x.cpu().clone() for name, x in take(model).items()}
            self.arrays["loss"] = torch.tensor(loss, dtype=torch.float64)
            if self.path is not None:
                put(self.path, self.arrays)

    def give(self, model: PreTrainedModel) -> None:
        if self.arrays is not None:
            fill(model, self.arrays)


def _epoch(wrapped, optimiser, blocks, order, batch: int, accelerator: Accelerator, compute: Compute) -> float:
    """One pass; the mean loss a token, in nats.

    Gradients are averaged over processes, whatever their share of a batch: a share's loss counts by its blocks. A
    process for which none are left takes part with one that does not count.
    """
    wrapped.train()
    processes, total = accelerator.num_processes, torch.zeros((), device=compute.device)
    for rows in torch.from_numpy(order).split(batch):
        own = rows[accelerator.process_index :: processes]
        weight = len(own) * processes / len(rows)
        some = own if len(own) else rows[:1]
        with compute.autocast():
            loss = token_losses(wrapped, blocks[some.to(blocks.device)]).mean() * weight
        optimiser.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        optimiser.step()
        total += loss.detach() * len(rows)
    return float(accelerator.reduce(total, "mean")) / len(order)

"""The language model at work: the `laptop` base writes and learns, against transformers' own ways.

Prompts are blocks of CPython's language reference, which is everywhere.
"""

from __future__ import annotations

import copy
import functools
import tempfile
import time

import numpy as np
import torch
from accelerate.state import AcceleratorState
from transformers import OPTForCausalLM, Trainer, TrainingArguments

from model_collapse import datasets, device
from model_collapse.llm.base import load_base
from model_collapse.llm.decoding import Decoding, write
from model_collapse.llm.finetune import Schedule, fine_tune, token_losses
from model_collapse.llm.tokens import BLOCK, cut, encode

from . import matrix_rate

PROMPTS, BATCH, STEPS, COMPARED = 128, 128, 8, 512
THREADS = 2


@functools.cache
def _model() -> OPTForCausalLM:
    return load_base("laptop")[0]


@functools.cache
def _ids(rows: int) -> np.ndarray:
    blocks = cut(encode(datasets.language_reference().text, load_base("laptop")[1]))
    return blocks[:rows].astype(np.int64)


def _timed(work, tokens: int) -> float:
    """Microseconds a token."""
    with device.threads(THREADS):
        begin = time.perf_counter()
        work()
        return (time.perf_counter() - begin) / tokens * 1e6


def _write(how: Decoding) -> float:
    prompts, compute = torch.from_numpy(_ids(PROMPTS)), device.compute()

    def work():
        with compute.autocast():
            write(_model(), prompts, BLOCK, how, torch.Generator().manual_seed(0))

    return _timed(work, PROMPTS * BLOCK)


def _generate(**options) -> float:
    prompts, compute = torch.from_numpy(_ids(PROMPTS)), device.compute()
    options |= {"attention_mask": torch.ones_like(prompts), "min_new_tokens": BLOCK, "max_new_tokens": BLOCK}

    def work():
        with compute.autocast(), torch.no_grad():
            _model().generate(prompts, **options)

    return _timed(work, PROMPTS * BLOCK)


def our_beams() -> float:
    return _write(Decoding(5))


def their_beams() -> float:
    return _generate(num_beams=5, do_sample=False)


def our_samples() -> float:
    return _write(Decoding(0))


def their_samples() -> float:
    return _generate(do_sample=True, top_k=0)


def our_steps() -> float:
    """One epoch of `STEPS` steps."""
    model, rows = copy.deepcopy(_model()), STEPS * BATCH
    schedule, rng, compute = Schedule(1, BATCH, attention="plain"), np.random.default_rng(0), device.compute()
    return _timed(lambda: fine_tune(model, _ids(rows), rows, schedule, rng, compute), rows * BLOCK)


def their_steps() -> float:
    """The same by the library's `Trainer`, with its defaults but for batch, precision and reports."""
    model, rows = copy.deepcopy(_model()), STEPS * BATCH
    data = [{"input_ids": x, "labels": x} for x in torch.from_numpy(_ids(rows))]
    with tempfile.TemporaryDirectory() as folder:
        options = {"num_train_epochs": 1, "per_device_train_batch_size": BATCH, "learning_rate": 2e-5}
        quiet = {"report_to": [], "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True}
        half = device.compute().precision == "bf16"
        arguments = TrainingArguments(folder, use_cpu=device.compute().device == "cpu", bf16=half, **options, **quiet)
        trainer = Trainer(model=model, args=arguments, train_dataset=data)
        try:
            return _timed(trainer.train, rows * BLOCK)
        finally:
            AcceleratorState._reset_state()  # which would hand its precision on to ours


def equal_rows(_: float) -> dict[str, float]:
    """Share of prompts after which ours and theirs write the same 64 tokens by five beams.

    In single precision, in bf16, and in double precision: there also with a repetition penalty of 2 and of 3, and where
    the end token, which no search may write, is the likeliest nearly everywhere.
    """
    whole, likely_end = copy.deepcopy(_model()).double(), copy.deepcopy(_model()).double()
    with torch.no_grad():
        last = whole.model.decoder(torch.from_numpy(_ids(BATCH))).last_hidden_state
        likely_end.get_input_embeddings().weight[whole.config.eos_token_id] = last.mean((0, 1)) / 5
    with device.threads(THREADS):
        found = {precision: _equal(_model(), precision=precision) for precision in ("fp32", "bf16")}
        found |= {"fp64": _equal(whole), "fp64_likely_end": _equal(likely_end)}
        found |= {f"fp64_penalty{x:.0f}": _equal(whole, x) for x in (2.0, 3.0)}
    return {f"equal_rows_{name}": share for name, share in found.items()}


def _equal(model: OPTForCausalLM, penalty: float = 1.0, precision: str = "fp32") -> float:
    prompts = torch.from_numpy(_ids(COMPARED))
    options = {"num_beams": 5, "do_sample": False, "min_new_tokens": BLOCK, "max_new_tokens": BLOCK}
    options |= {"attention_mask": torch.ones_like(prompts), "repetition_penalty": penalty}
    with device.Compute("cpu", precision).autocast(), torch.no_grad():
        theirs = model.generate(prompts, **options)[:, BLOCK:]
        ours = write(model, prompts, BLOCK, Decoding(5, penalty=penalty))
    return float((ours == theirs).all(dim=1).float().mean())


def rate(microseconds: float) -> dict[str, float | str]:
    """How much of the rate of large matrix products learning reaches."""
    model, ids = copy.deepcopy(_model()).train(), torch.from_numpy(_ids(BATCH))

    def step() -> None:
        token_losses(model, ids).mean().backward()

    return matrix_rate.reached(step, microseconds * BATCH * BLOCK / 1e3, THREADS)

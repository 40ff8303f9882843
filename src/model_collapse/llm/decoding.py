"""What a language model writes after a prompt: beam search and sampling, for many prompts of equal length at once.

Beam search gives the tokens that transformers' ``generate`` gives with ``min_new_tokens == max_new_tokens`` (so that no
block ends early), as the released code calls it: logits in single precision, log-softmax, then the penalty on repeated
tokens and the ban of the end token on the log-probabilities, without renormalising. It is faster for two reasons. The
beams of a prompt share the keys and values of the prompt; and those of the generated tokens are never moved when beams
are reordered: every beam looks at the slots of all beams of its prompt, through a mask of its own ancestors.

This is written for the OPT architecture; other causal models go through ``generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch.nn import functional as F
from transformers import OPTForCausalLM, PreTrainedModel

from ..checkpoints import get, put
from ..device import Compute, rows_in_cache, seeded
from .watermark import SCHEME, marked

__all__ = ["Decoding", "write", "write_blocks"]


@dataclass(frozen=True)
class Decoding:
    """How the next token is chosen.

    Attributes
    ----------
    beams : int
        Width of the beam search; 0 samples.
    temperature, nucleus : float
        Of sampling; a nucleus below 1 keeps the fewest tokens that have that much probability together.
    penalty : float
        On what stands in the prompt or was written already: multiplies its log-probability (in beam search) or its
        negative logit, and divides its positive logit; 1 is none (Keskar et al., 1909.05858).
    watermark : float
        Bias on the logits of green tokens; 0 is none. See `model_collapse.llm.watermark`.
    ends : bool
        Whether the end token may be drawn, after which a block goes on; no search writes it.
    """

    beams: int = 5
    temperature: float = 1.0
    nucleus: float = 1.0
    penalty: float = 1.0
    watermark: float = 0.0
    ends: bool = False


@torch.no_grad()
def write(
    model: PreTrainedModel, prompts: torch.Tensor, length: int, how: Decoding, generator: torch.Generator | None = None
) -> torch.Tensor:
    """The next `length` tokens after each prompt, shape (prompts, length).

    Parameters
    ----------
    prompts : torch.Tensor of int64, shape (prompts, tokens)
    generator : torch.Generator
        For sampling; beam search needs none.
    """
    if not isinstance(model, OPTForCausalLM):
        return _by_library(model, prompts, length, how, generator)
    state = _Reader(model, prompts, max(how.beams, 1), length)
    return _search(state, how) if how.beams else _sample(state, how, generator)


def _by_library(model, prompts: torch.Tensor, length: int, how: Decoding, generator) -> torch.Tensor:
    """`generate`, whose draws come from torch's global state."""
    known = model.config.eos_token_id
    end = known[0] if isinstance(known, list) else known
    options = {"max_new_tokens": length, "repetition_penalty": how.penalty}
    options |= {"eos_token_id": -1} if how.ends else {"min_new_tokens": length}  # no token stops it, or none may
    options |= {"pad_token_id": end if model.config.pad_token_id is None else model.config.pad_token_id}
    if how.beams:
        options |= {"num_beams": how.beams, "do_sample": False}
    else:
        options |= {"do_sample": True, "temperature": how.temperature, "top_p": how.nucleus, "top_k": 0}
    if how.watermark:
        options |= {"watermarking_config": SCHEME | {"bias": how.watermark}}
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device)) if generator else 0
    with seeded(np.random.default_rng(seed)):
        return model.generate(prompts, attention_mask=torch.ones_like(prompts), **options)[:, prompts.shape[1] :]


def write_blocks(
    model: PreTrainedModel,
    prompts: np.ndarray,
    length: int,
    how: Decoding,
    rng: np.random.Generator,
    compute: Compute,
    *,
    batch: int = 128,
    unfinished: Path | None = None,
) -> np.ndarray:
    """What follows each of many prompts, (prompts, length), int32; `prompts` has shape (prompts, tokens).

    It is written `batch` prompts at a time, each time with randomness of its own, so that what is found in the file
    `unfinished` need not be written again. The file stays, so that what comes after may stop as well; who writes
    deletes it later. Processes that were launched together take turns.
    """
    seeds = rng.integers(2**63, size=-(-len(prompts) // batch))
    done = get(unfinished) if unfinished is not None and unfinished.exists() else {}
    together = PartialState()
    for number in range(together.process_index, len(seeds), together.num_processes):
        if str(number) in done:
            continue
        some = torch.from_numpy(prompts[number * batch : (number + 1) * batch].astype(np.int64))
        generator = torch.Generator(compute.device).manual_seed(int(seeds[number]))
        with compute.autocast():
            ids = write(model, some.to(compute.device), length, how, generator)
        done[str(number)] = ids.to(torch.int32).cpu()
        if unfinished is not None:
            put(unfinished, done)
    for others in gather_object([done]):
        done |= others
    return torch.cat([done[str(number)] for number in range(len(seeds))]).numpy()


class _Reader:
    """The network with the keys and values of prompts and of what was written after them, step by step.

    A prompt has `beams` slots; a step reads one token in each slot. `ancestors` says, for each beam and each earlier
    step, in which slot the token stands that the beam goes back to.
    """

    def __init__(self, model: OPTForCausalLM, prompts: torch.Tensor, beams: int, length: int):
        self.decoder, self.head = model.model.decoder, model.lm_head
        self.prompts, self.beams, self.length, self.step = prompts, beams, length, 0
        self.end = model.config.eos_token_id
        out = model(prompts, use_cache=True, logits_to_keep=1)
        self.first = out.logits[:, -1]
        self.seen = []  # of every layer, keys and values: those of the prompt, then those of each step's slots
        for layer in out.past_key_values.layers:
            rows, heads, asked, width = layer.keys.shape
            shape = (2, rows, heads, asked + length * beams, width)
            self.seen.append(layer.keys.new_empty(shape))
            self.seen[-1][0, :, :, :asked], self.seen[-1][1, :, :, :asked] = layer.keys, layer.values
        self.ancestors = torch.zeros(rows, beams, 0, dtype=torch.long, device=prompts.device)
        self.tokens = torch.zeros(rows, beams, 0, dtype=torch.long, device=prompts.device)

    def advance(self, parents: torch.Tensor, tokens: torch.Tensor) -> None:
        """Go on with `tokens` (prompts, beams) after the beams `parents`; their keys will stand in their own slots."""
        own = torch.arange(self.beams, device=tokens.device).expand_as(tokens)[..., None]

        def followed(x: torch.Tensor) -> torch.Tensor:
            return x.gather(1, parents[..., None].expand(-1, -1, x.shape[2]))

        self.tokens = torch.cat([followed(self.tokens), tokens[..., None]], dim=2)
        self.ancestors = torch.cat([followed(self.ancestors), own], dim=2)

    def before(self) -> torch.Tensor:
        """All tokens that a beam goes on from, (prompts, beams, tokens): its prompt's, and what was written since."""
        return torch.cat([self.prompts[:, None].expand(-1, self.beams, -1), self.tokens], dim=2)

    def logits(self) -> torch.Tensor:
        """Logits of the token after the last one that was read, (prompts, beams, vocabulary)."""
        if not self.tokens.shape[2]:
            return self.first[:, None].expand(-1, self.beams, -1)
        newest = self.tokens[..., -1]
        at = self.prompts.shape[1] + self.step
        decoder = self.decoder
        x = decoder.embed_tokens(newest)
        x = decoder.project_in(x) if decoder.project_in is not None else x
        x = x + decoder.embed_positions.weight[at + decoder.embed_positions.offset]
        mask = self._mask(x.dtype)
        for number, layer in enumerate(decoder.layers):
            x = self._layer(layer, number, x, mask)
        x = decoder.final_layer_norm(x) if decoder.final_layer_norm is not None else x
        x = decoder.project_out(x) if decoder.project_out is not None else x
        self.step += 1
        return self.head(x)

    def _mask(self, dtype: torch.dtype) -> torch.Tensor | None:
        """0 where a beam may look, -inf elsewhere: (prompts, 1, beams, prompt tokens + steps x beams)."""
        if self.beams == 1:
            return None
        seen = F.one_hot(self.ancestors, self.beams).bool().flatten(2)
        banned = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)
        return F.pad(banned, (self.prompts.shape[1], 0))[:, None]

    def _layer(self, layer, number: int, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        attention = layer.self_attn
        y = layer.self_attn_layer_norm(x) if layer.do_layer_norm_before else x
        heads = (attention.num_heads, attention.head_dim)
        q, k, v = (
            project(y).unflatten(-1, heads) for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        begin = self.prompts.shape[1] + self.step * self.beams
        for kept, new in zip(self.seen[number], (k, v), strict=True):
            kept[:, :, begin : begin + self.beams] = new.transpose(1, 2)
        keys, values = self.seen[number][:, :, :, : begin + self.beams]
        seen = F.scaled_dot_product_attention(
            q.transpose(1, 2) * attention.scaling, keys, values, attn_mask=mask, scale=1.0
        )
        x = x + attention.out_proj(seen.transpose(1, 2).flatten(2))
        x = x if layer.do_layer_norm_before else layer.self_attn_layer_norm(x)
        y = layer.final_layer_norm(x) if layer.do_layer_norm_before else x
        x = x + layer.fc2(layer.activation_fn(layer.fc1(y)))
        return x if layer.do_layer_norm_before else layer.final_layer_norm(x)


def _search(reader: _Reader, how: Decoding) -> torch.Tensor:
    """The likeliest sequence that the beams end with, prompt by prompt."""
    rows, beams = reader.prompts.shape[0], how.beams
    scores = torch.zeros(rows, beams, device=reader.prompts.device)
    scores[:, 1:] = -1e9  # all beams begin alike: the first step chooses among the first one's continuations
    for _ in range(reader.length):
        best, tokens = _continuations(reader, how)
        scores, chosen = (best + scores[..., None]).flatten(1).topk(beams)
        reader.advance(chosen // beams, tokens.flatten(1).gather(1, chosen))
    return reader.tokens[:, 0]


def _continuations(reader: _Reader, how: Decoding) -> tuple[torch.Tensor, torch.Tensor]:
    """The best tokens after each beam, among which the best after all of them are, and their log-probabilities.

    Both have shape (prompts, beams, beams). Prompts are taken as many at a time as stay in a processor's cache.
    """
    logits, parts = reader.logits(), []
    few = rows_in_cache(logits)
    for some, before in zip(logits.split(few), reader.before().split(few), strict=True):
        found = torch.log_softmax(some.float(), dim=-1)
        found = _marked(_penalised(found, before, how.penalty), before, how.watermark)
        found[..., reader.end] = -torch.inf
        parts.append(_best(found, how.beams))
    best, tokens = (torch.cat(x) for x in zip(*parts, strict=True))
    return best, tokens


def _sample(reader: _Reader, how: Decoding, generator: torch.Generator | None) -> torch.Tensor:
    """One sequence drawn for each prompt."""
    only = torch.zeros(len(reader.prompts), 1, dtype=torch.long, device=reader.prompts.device)
    for _ in range(reader.length):
        logits, before = reader.logits().float(), reader.before()
        found = _marked(_penalised(logits, before, how.penalty), before, how.watermark)
        if not how.ends:
            found[..., reader.end] = -torch.inf
        weights = torch.softmax(found[:, 0] / how.temperature, dim=-1)
        if how.nucleus < 1:
            weights = _nucleus(weights, how.nucleus)
        heights = weights.double().cumsum(dim=-1)
        spots = torch.rand(len(heights), 1, generator=generator, device=heights.device, dtype=heights.dtype)
        token = torch.searchsorted(heights, spots * heights[:, -1:], right=True)
        reader.advance(only, token)
    return reader.tokens[:, 0]


def _best(found: torch.Tensor, count: int, chunk: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` largest values along the last axis, descending, and where they stand.

    They lie in the chunks with the largest maxima, which is quicker to find out than to sort everything.
    """
    width = found.shape[-1]
    whole = F.pad(found, (0, -width % chunk), value=-torch.inf) if width % chunk else found  # no padding copies as well
    chunks = whole.unflatten(-1, (-1, chunk))
    if chunks.shape[-2] <= count:
        return found.topk(count)
    there = chunks.amax(dim=-1).topk(count, sorted=False).indices.sort(dim=-1).values
    some = chunks.gather(-2, there[..., None].expand(*there.shape, chunk)).flatten(-2)
    values, at = some.topk(count)
    return values, there.gather(-1, at // chunk) * chunk + at % chunk


def _penalised(found: torch.Tensor, before: torch.Tensor, penalty: float) -> torch.Tensor:
    """Scores (prompts, beams, vocabulary) with the penalty on every token that a beam has before it."""
    if penalty == 1:
        return found
    old = found.gather(2, before)
    return found.scatter(2, before, torch.where(old < 0, old * penalty, old / penalty))


def _marked(found: torch.Tensor, before: torch.Tensor, bias: float) -> torch.Tensor:
    """Scores (prompts, beams, vocabulary) with the watermark's bias, by the last token that a beam has before it."""
    if bias == 0:
        return found
    return marked(before[..., -1].reshape(-1, 1), found.flatten(0, 1), bias).view_as(found)


def _nucleus(weights: torch.Tensor, share: float) -> torch.Tensor:
    """The weights of the fewest tokens that have `share` of the probability together, the others 0."""
    ordered, order = weights.sort(dim=-1, descending=True)
    outside = ordered.cumsum(dim=-1) - ordered >= share  # what lies before it suffices
    return torch.zeros_like(weights).scatter(-1, order, ordered.masked_fill(outside, 0))

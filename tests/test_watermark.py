"""The watermark: its green lists by hand, its counts by hand, and what it does to text in a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import OPTConfig, OPTForCausalLM

from model_collapse import device, llm
from model_collapse.llm.decoding import Decoding, write
from model_collapse.llm.watermark import GREEN, LENGTHS, SCHEME, THRESHOLD, detected, marked

KEY = 15_485_863  # the library's: the millionth prime
WORDS = 101


def green_after(token: int, vocabulary: int) -> np.ndarray:
    """The green tokens, (vocabulary,), by the published algorithm: the token before seeds a permutation."""
    order = torch.randperm(vocabulary, generator=torch.Generator().manual_seed(KEY * int(token) % (2**64 - 1))).numpy()
    return np.isin(np.arange(vocabulary), order[: int(GREEN * vocabulary)])


@pytest.fixture(scope="module")
def model() -> OPTForCausalLM:
    shape = {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    with device.seeded(np.random.default_rng(0)):
        rest = {"ffn_dim": 64, "max_position_embeddings": 64, "dropout": 0.0, "init_std": 0.1}
        return OPTForCausalLM(OPTConfig(vocab_size=WORDS, **shape, **rest)).eval()


def prompts(rows: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(4, WORDS, size=(rows, 6)))


def all_green(before: torch.Tensor, written: torch.Tensor) -> bool:
    whole = torch.cat([before[:, -1:], written], dim=1).numpy()
    return all(green_after(a, WORDS)[b] for row in whole for a, b in zip(row[:-1], row[1:], strict=True))


def test_the_bias_is_on_the_green_quarter():
    before = torch.tensor([[5, 9], [7, 8]])
    raised = marked(before, torch.zeros(2, WORDS), 1.5).numpy()
    for row, token in zip(raised, (9, 8), strict=True):
        assert (row == np.where(green_after(token, WORDS), 1.5, 0.0)).all()


@pytest.mark.parametrize("beams", [0, 3])
def test_a_strong_bias_writes_green_tokens_only(model, beams):
    before = prompts(40)
    written = write(model, before, 10, Decoding(beams, watermark=50.0), torch.Generator().manual_seed(0))
    assert all_green(before, written)
    assert not all_green(before, write(model, before, 10, Decoding(beams), torch.Generator().manual_seed(0)))


def test_beams_write_what_the_library_writes(model):
    model, before = model.double(), prompts(60)
    options = {"num_beams": 3, "do_sample": False, "min_new_tokens": 8, "max_new_tokens": 8}
    theirs = model.generate(
        before, attention_mask=torch.ones_like(before), watermarking_config=SCHEME | {"bias": 1.0}, **options
    )[:, 6:]
    assert torch.equal(write(model, before, 8, Decoding(3, watermark=1.0)), theirs)
    model.float()


def test_the_detector_by_hand():
    ids = np.random.default_rng(2).integers(4, WORDS, size=(30, 64))
    for row in ids:  # every other token is green
        for at in range(1, 64, 2):
            row[at] = np.flatnonzero(green_after(row[at - 1], WORDS))[at % 7]
    found = detected(ids, WORDS)
    green = np.array([[green_after(a, WORDS)[b] for a, b in zip(r[:-1], r[1:], strict=True)] for r in ids])
    assert found["green_share"] == pytest.approx(green.mean())
    for length in (16, 32, 64, 128):
        passages = ids.ravel()[: ids.size // length * length].reshape(-1, length)
        assert found[f"detected_{length}"] == pytest.approx(np.mean([z_score(x) > THRESHOLD for x in passages]))
    assert found["detected_16"] < found["detected_64"]


def z_score(passage: np.ndarray) -> float:
    pairs = sorted(set(zip(passage[:-1].tolist(), passage[1:].tolist(), strict=True)))
    green = sum(bool(green_after(a, WORDS)[b]) for a, b in pairs)
    return (green - GREEN * len(pairs)) / np.sqrt(len(pairs) * GREEN * (1 - GREEN))


def test_without_a_watermark_a_quarter_is_green_and_nothing_is_detected():
    ids = np.random.default_rng(3).integers(0, 2000, size=(2000, 64))
    found = detected(ids, 2000)
    assert found["green_share"] == pytest.approx(GREEN, abs=4 * np.sqrt(GREEN * (1 - GREEN) / (2000 * 63)))
    assert all(found[f"detected_{length}"] < 0.005 for length in LENGTHS)


def test_lengths_of_which_there_is_no_passage_are_left_out():
    assert set(detected(np.full((2, 20), 7), WORDS)) == {"green_share", "detected_16", "detected_32"}


def test_a_sweep_reports_every_arm():
    record = llm.run("watermark", "smoke", n=40, epochs=1, generations=0, progress=False)
    assert [line.split(":")[0] for line in llm.FAMILY.report(record)[::2]][:2] == record.arms


def test_a_watermark_in_the_loop():
    """Set in what model 0 writes, or never: model 1, which sets none, learned it or did not."""
    scale = {"chains": 1, "generations": 1, "n": 300, "epochs": 6, "variant": "sample", "progress": False}
    without, once = (llm.run(None, "smoke", remedy=f"watermark({bias}, 0)", **scale) for bias in (0, 4))
    shares = [[record.at("green_share", g)["mean"] for g in (0, 1)] for record in (without, once)]
    assert shares[0] == pytest.approx([GREEN, GREEN], abs=0.05)
    assert shares[1][0] > 0.6 and shares[1][0] > shares[1][1] > shares[0][1] + 0.03
    assert once.at("detected_64", 0)["mean"] > 0.9

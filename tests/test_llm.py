"""The language model: tokens and blocks, a fit that goes on where it was, and decoding equal to the library's."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import OPTConfig, OPTForCausalLM

from model_collapse import datasets, device
from model_collapse.archive import ArchiveError
from model_collapse.archive.files import write_sealed
from model_collapse.checkpoints import take
from model_collapse.datasets import DataError
from model_collapse.llm import base as llm_base
from model_collapse.llm import finetune
from model_collapse.llm.base import SHAPES, load_base, pretrain
from model_collapse.llm.decoding import Decoding, write
from model_collapse.llm.finetune import Schedule, fine_tune, token_losses
from model_collapse.llm.items import Blocks
from model_collapse.llm.measure import Yardstick, block_losses, perplexities
from model_collapse.llm.ngram import Trigrams
from model_collapse.llm.tokens import SPECIAL, cut, encode, opt_tokenizer, train_tokenizer
from model_collapse.runs import ConfigError, Diverged

CPU = device.Compute("cpu", "fp32")
WORDS = 300
TEXT = " = A heading = \n\n The cat saw the dog , and the dog saw the @-@ cat . \n A <unk> here .\n"


def opt(vocabulary: int = WORDS, seed: int = 0, **changes) -> OPTForCausalLM:
    """A little OPT whose guesses differ enough to be ranked."""
    shape = {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    rest = {"ffn_dim": 64, "max_position_embeddings": 64, "dropout": 0.0, "init_std": 0.4}
    numbers = {"bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1}
    with device.seeded(np.random.default_rng(seed)):
        return OPTForCausalLM(OPTConfig(vocab_size=vocabulary, **(shape | rest | numbers | changes))).eval()


def some_ids(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, WORDS, shape)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([TEXT] * 20, WORDS)


def test_text_becomes_lines_with_an_end_before_each(tokenizer):
    ids = encode(TEXT, tokenizer)
    assert (ids == 2).sum() == 4  # an empty line has one too
    assert ids[0] == 2 and (ids == 3).sum() == 1  # <unk> is one token
    assert tokenizer.decode(ids, skip_special_tokens=False).replace("</s>", "").replace("\n", "") == TEXT.replace(
        "\n", ""
    )
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3]


def test_any_string_can_be_encoded(tokenizer):
    odd = "ünïcödé 漢字 \u200b 🙂"
    assert tokenizer.decode(encode(odd, tokenizer), skip_special_tokens=True) == odd


def test_ids_are_cut_into_blocks_and_a_remainder_is_dropped():
    assert (cut(np.arange(11), 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]).all()
    with pytest.raises(DataError, match="3 tokens are too few for one block of 4"):
        cut(np.arange(3), 4)


def test_opt_s_tokenizer_from_its_two_files(tmp_path):
    entries = [*SPECIAL, "h", "e", "l", "o", "he", "ll", "hell", "hello", "Ġ"]
    (tmp_path / "vocab.json").write_text(json.dumps({name: k for k, name in enumerate(entries)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nh e\nl l\nhe ll\nhell o\n")
    made = opt_tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert encode("hello hell", made).tolist() == [2, 11, 12, 10]
    (tmp_path / "vocab.json").write_text(json.dumps({"h": 0}))
    with pytest.raises(DataError, match="does not number <s>, <pad>, </s>, <unk> from 0"):
        opt_tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
    (tmp_path / "vocab.json").write_text(json.dumps({name: k for k, name in enumerate(SPECIAL)}))
    with pytest.raises(DataError, match="merges.txt does not go with vocab.json"):
        opt_tokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
    with pytest.raises(DataError, match="none.json is not here"):
        opt_tokenizer(tmp_path / "none.json", tmp_path / "merges.txt")


def test_blocks_keep_their_places():
    blocks, rng = Blocks(some_ids(50, 4), np.arange(50)), np.random.default_rng(0)
    taken = blocks.take(20, rng)
    assert (np.diff(taken.places) > 0).all() and (taken.ids == blocks.ids[taken.places]).all()
    both = Blocks.merge([taken, blocks])
    assert both.size == 70 and (both.ids[20:] == blocks.ids).all()
    drawn, counts = Blocks.subsample([taken, blocks], 35, rng)
    assert drawn.size == counts.sum() == 35
    again = Blocks.from_arrays(drawn.arrays())
    assert (again.ids == drawn.ids).all() and (again.places == drawn.places).all()
    with pytest.raises(ValueError, match="cannot take 51 different items of 50"):
        blocks.take(51, rng)


def by_hand(model: OPTForCausalLM, ids: np.ndarray) -> np.ndarray:
    """Logits of an OPT network (blocks, length, vocabulary), in numpy, from the description of the architecture."""
    w = {name: x.detach().double().numpy() for name, x in model.state_dict().items()}

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    length, heads = ids.shape[1], model.config.num_attention_heads
    x = w["model.decoder.embed_tokens.weight"][ids] + w["model.decoder.embed_positions.weight"][2 : 2 + length]
    future = np.triu(np.full((length, length), -np.inf), 1)
    for number in range(model.config.num_hidden_layers):
        name = f"model.decoder.layers.{number}"
        y = norm(x, f"{name}.self_attn_layer_norm")
        q, k, v = (
            linear(y, f"{name}.self_attn.{part}_proj").reshape(*ids.shape, heads, -1).swapaxes(1, 2) for part in "qkv"
        )
        scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]) + future
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(x.shape)
        x = x + linear(mixed, f"{name}.self_attn.out_proj")
        y = norm(x, f"{name}.final_layer_norm")
        x = x + linear(np.maximum(linear(y, f"{name}.fc1"), 0), f"{name}.fc2")
    return norm(x, "model.decoder.final_layer_norm") @ w["model.decoder.embed_tokens.weight"].T


def test_the_perplexity_is_that_of_a_network_written_by_hand(tokenizer):
    """Some releases of the library had a broken OPT."""
    model, ids = opt().double(), some_ids(5, 16)
    with torch.no_grad(), device.seeded(np.random.default_rng(1)):  # a new network's biases and norms do nothing
        for name, x in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                x.add_(0.3 * torch.randn_like(x))
    logits = by_hand(model, ids)
    logs = (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )
    expected = -np.take_along_axis(logs[:, :-1], ids[:, 1:, None], axis=2)[..., 0].mean(axis=1)
    losses = block_losses(model, ids, CPU)
    assert losses == pytest.approx(expected, rel=1e-5)
    found = perplexities(losses, ids, tokenizer)
    assert found["perplexity"] == pytest.approx(np.exp(expected.mean()), rel=1e-5)
    assert found["perplexity_of_blocks"] == pytest.approx(np.exp(expected).mean(), rel=1e-5)
    assert found["perplexity_of_blocks"] > found["perplexity"]


def test_bits_per_byte_of_a_model_that_knows_nothing(tokenizer):
    """Every token costs log2(vocabulary) bits, whatever bytes it stands for."""
    ids = encode("the cat and the dog " * 10, tokenizer)[None, :24]
    losses = np.full(1, math.log(WORDS))
    size = len(tokenizer.decode(ids[0, 1:], skip_special_tokens=True).encode())
    assert perplexities(losses, ids, tokenizer)["bits_per_byte"] == pytest.approx(23 * math.log2(WORDS) / size)


def test_an_unknown_word_counts_as_its_text_and_an_end_as_nothing(tokenizer):
    ids = encode(" a <unk> a\n b\n", tokenizer)[None]
    assert ids[0].tolist().count(2) == 2 and ids[0].tolist().count(3) == 1
    found = perplexities(np.full(1, math.log(2)), ids, tokenizer)["bits_per_byte"]
    assert found == pytest.approx((ids.shape[1] - 1) / len(" a <unk> a\n b\n"))


def test_words_at_the_border_of_a_block_do_not_count(tokenizer):
    ids = cut(encode(" the cat and the dog" * 40, tokenizer), 16)
    yardstick = Yardstick(ids, ids, ids, tokenizer, CPU)
    assert set(yardstick._words) == {"the", "cat", "and", "dog"}
    assert yardstick._lost(ids) == {"lost_5plus": 0.0}
    assert yardstick._lost(cut(encode(" the the the" * 40, tokenizer), 16)) == {"lost_5plus": 0.75}


def test_what_is_lost_and_what_is_left_by_how_often_people_used_it(tokenizer, monkeypatch):
    """Tokens 10 and 16 occur once, 11 and 17 two to four times, 12 six, 13 twenty, 14 a hundred and twenty-six."""
    counts = {10: 1, 16: 1, 11: 3, 17: 3, 12: 6, 13: 20, 14: 126}
    train = np.concatenate([np.full(count, token) for token, count in counts.items()]).reshape(-1, 8)
    written = np.concatenate([np.full(n, token) for token, n in {15: 4, 10: 4, 11: 8, 12: 4, 13: 12, 14: 8}.items()])
    pool = np.concatenate([np.full(n, token) for token, n in {10: 1, 12: 7, 13: 8}.items()]).reshape(-1, 8)
    words = {"once": 1, "alone": 1, "twice": 2, "often": 5, "always": 9, "ever": 7, "more": 6}
    found = {id(train): words, id(pool): {"alone": 3, "always": 1, "ever": 1, "more": 1}}
    monkeypatch.setattr(Yardstick, "_words_of", lambda self, ids: found[id(ids)])
    monkeypatch.setattr(Yardstick, "_variety", lambda self, ids: {})
    measured = Yardstick(train, train, train, tokenizer, CPU).measures(
        opt(), written.reshape(-1, 8), pool, np.random.default_rng(0)
    )
    mass = {"unseen": 0.1, "once": 0.1, "rare": 0.2, "some": 0.1, "often": 0.3, "common": 0.2}
    assert {name: measured[f"mass_{name}"] for name in mass} == pytest.approx(mass)
    survival = {"once": 0.5, "rare": 0.0, "some": 1.0, "often": 1.0, "common": 0.0}
    assert {name: measured[f"survival_{name}"] for name in survival} == survival
    assert (measured["lost_1"], measured["lost_5plus"]) == (0.5, 0.25)


@pytest.mark.parametrize("penalty", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("likely_end", [False, True])
def test_beam_search_writes_what_the_library_writes(penalty, likely_end):
    """500 prompts, float64, tokens all equal; the end token would often win if it were not banned."""
    model = opt().double()
    if likely_end:
        with torch.no_grad():
            model.model.decoder.embed_tokens.weight[2] = model.model.decoder.embed_tokens.weight.mean(0) * 40
    prompts = torch.from_numpy(some_ids(500, 12))
    plain = {"num_beams": 5, "min_new_tokens": 12, "max_new_tokens": 12, "do_sample": False}
    theirs = model.generate(prompts, attention_mask=torch.ones_like(prompts), repetition_penalty=penalty, **plain)
    ours = write(model, prompts, 12, Decoding(5, penalty=penalty))
    assert torch.equal(ours, theirs[:, 12:]) and (ours != 2).all()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_losses_of_tokens_have_the_bits_of_the_library_s(kind):
    """Losses and gradients, of more logits than are looked at together, under unequal weights."""
    rows, width = 70, 5000
    rng = torch.Generator().manual_seed(0)
    given = torch.randn(rows, width, generator=rng).mul_(4).to(kind)
    targets = torch.randint(width, (rows,), generator=rng)
    weights = torch.rand(rows, generator=rng)

    def both(losses_of):
        logits = given.clone().requires_grad_()
        losses = losses_of(logits)
        (losses * weights).sum().backward()
        return losses.detach(), logits.grad

    theirs = both(lambda logits: torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none"))
    ours = both(lambda logits: finetune._CrossEntropy.apply(logits, targets))
    assert device.rows_in_cache(given) < rows
    assert all(torch.equal(x, y) for x, y in zip(ours, theirs, strict=True))


def test_end_tokens_are_drawn_where_they_may_be():
    model, prompts = opt(), torch.from_numpy(some_ids(200, 8))
    with torch.no_grad():
        model.model.decoder.embed_tokens.weight[2] = model.model.decoder.embed_tokens.weight.mean(0) * 40
    drawn = write(model, prompts, 12, Decoding(0, ends=True), torch.Generator().manual_seed(0))
    assert (drawn == 2).float().mean() > 0.1 and drawn.shape == (200, 12)
    assert (write(model, prompts, 12, Decoding(0), torch.Generator().manual_seed(0)) != 2).all()


def test_a_beam_is_worth_more_than_greed():
    model, prompts = opt(), torch.from_numpy(some_ids(60, 8))

    def worth(beams: int) -> np.ndarray:
        whole = torch.cat([prompts, write(model, prompts, 8, Decoding(beams))], dim=1)
        with torch.no_grad():
            return token_losses(model, whole)[:, -8:].sum(dim=1).numpy()

    assert worth(5).mean() < worth(1).mean() - 0.1


def test_sampling_follows_the_model_s_distribution():
    """First tokens after one prompt, against the softmax without the end token; a chi-square test."""
    from scipy.stats import chisquare

    model, prompt, draws = opt(), some_ids(1, 6), 20_000
    prompts = torch.from_numpy(np.repeat(prompt, draws, axis=0))
    with torch.no_grad():
        logits = model(prompts[:1]).logits[0, -1].double() / 0.7
    logits[2] = -torch.inf
    expected = torch.softmax(logits, dim=0).numpy() * draws
    found = write(model, prompts, 1, Decoding(0, temperature=0.7), torch.Generator().manual_seed(0))[:, 0]
    counts = np.bincount(found, minlength=WORDS)
    common = expected >= 5
    observed, wanted = (
        np.append(counts[common], counts[~common].sum()),
        np.append(expected[common], expected[~common].sum()),
    )
    assert counts[2] == 0 and chisquare(observed, wanted).pvalue > 1e-3
    nucleus = write(model, prompts, 1, Decoding(0, 0.7, nucleus=0.5), torch.Generator().manual_seed(0))[:, 0]
    order = np.argsort(-expected)
    fewest = 1 + np.searchsorted(np.cumsum(expected[order]) / draws, 0.5)
    assert set(nucleus.tolist()) == set(order[:fewest].tolist())


def test_sampled_text_reads_its_own_words():
    """The second token's distribution depends on the first: sampled pairs are as likely as the model says."""
    model, prompts = opt(), torch.from_numpy(np.repeat(some_ids(1, 6), 4000, axis=0))
    written = write(model, prompts, 3, Decoding(0), torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(torch.cat([prompts, written], dim=1)).logits[:, 5:8]
    logits[..., 2] = -torch.inf
    losses = -torch.log_softmax(logits, -1).gather(2, written[..., None])[..., 0]
    entropies = torch.distributions.Categorical(logits=logits).entropy()
    gap = (losses - entropies).double()
    assert (gap.mean(0).abs() < 4 * gap.std(0) / math.sqrt(4000)).all()


class Stop(Exception):
    pass


def weights(model) -> dict[str, np.ndarray]:
    return {name: x.detach().clone().numpy() for name, x in model.named_parameters()}


def test_a_fit_goes_on_inside_a_generation(tmp_path):
    ids = some_ids(64, 16)

    def trained(**options):
        return weights(
            fine_tune(opt(dropout=0.1), ids, 48, Schedule(3, 16, 1e-3), np.random.default_rng(5), CPU, **options)
        )

    def stop(epoch: int, loss: float) -> None:
        raise Stop

    whole, seen = trained(), []
    with pytest.raises(Stop):
        trained(checkpoint=tmp_path / "fit", on=stop)
    resumed = trained(checkpoint=tmp_path / "fit", on=lambda epoch, loss: seen.append(epoch))
    assert seen == [1, 2]
    assert all((resumed[name] == x).all() for name, x in whole.items())


def test_learning_learns_and_the_rate_is_annealed():
    losses: list[float] = []
    ids = np.repeat(some_ids(4, 16), 16, axis=0)
    fine_tune(opt(), ids, 64, Schedule(6, 16, 3e-3), np.random.default_rng(0), CPU, on=lambda e, x: losses.append(x))
    assert losses[-1] < 0.5 * losses[0]
    rates = [Schedule(5, rate=2e-5).rate_at(epoch) for epoch in range(6)]
    assert rates[0] == 2e-5 and rates[5] == pytest.approx(1e-6) and rates == sorted(rates, reverse=True)


def test_attention_is_a_matter_of_pace():
    """Both kinds learn the same up to rounding, and the model has its own kind again afterwards."""
    kinds, losses = [], []
    for kind in ("fused", "plain"):
        model = opt()
        before = model.config._attn_implementation
        model.register_forward_pre_hook(lambda model, _: kinds.append(model.config._attn_implementation))
        rng, note = np.random.default_rng(0), lambda epoch, loss: losses.append(loss)
        fine_tune(model, some_ids(32, 16), 32, Schedule(2, 8, 1e-2, kind), rng, CPU, on=note)
        assert model.config._attn_implementation == before
    assert kinds == [before] * 8 + ["eager"] * 8 and before != "eager"
    assert losses[2:] == pytest.approx(losses[:2], rel=1e-4) and losses[1] < 0.99 * losses[0]


@pytest.mark.parametrize("stopped", [None, 0, 1])
def test_the_weights_of_the_best_epoch_write(stopped, tmp_path):
    """A judge that likes the second epoch best gets its weights, whether the fit was stopped on the way or not."""
    seen: dict[str, torch.Tensor] = {}

    def trained(model, **options):
        return fine_tune(model, some_ids(24, 12), 24, Schedule(3, 8, 1e-2), np.random.default_rng(3), CPU, **options)

    def note(epoch: int, loss: float) -> None:
        if epoch == 1:
            seen.update({name: x.clone() for name, x in take(watched).items()})

    def stop(epoch: int, loss: float) -> None:
        if epoch == stopped:
            raise Stop

    watched = opt()
    trained(watched, on=note)
    verdicts = iter([2.0, 1.0, 3.0])
    options = {"judge": lambda model: next(verdicts), "checkpoint": tmp_path / "fit"}
    if stopped is not None:
        with pytest.raises(Stop):
            trained(opt(), on=stop, **options)
    best = take(trained(opt(), **options))
    assert seen.keys() == best.keys() and all(torch.equal(x, best[name]) for name, x in seen.items())
    assert not all(torch.equal(x, seen[name]) for name, x in take(watched).items())  # the last epoch has others
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-fit", "fit"]  # for a stop after this


def test_a_larger_pool_gets_no_more_steps():
    """With the whole pool one block, a pool ten times as large changes nothing but which rows are drawn."""
    one = some_ids(1, 16)
    small, large = (
        weights(fine_tune(opt(), np.repeat(one, k, axis=0), 32, Schedule(2, 8, 1e-3), np.random.default_rng(0), CPU))
        for k in (32, 320)
    )
    assert all(np.allclose(small[name], large[name], atol=1e-6) for name in small)


def test_a_loss_that_is_no_number_names_the_epoch():
    with pytest.raises(Diverged, match="epoch 2: the loss is nan"):
        fine_tune(opt(), some_ids(8, 16), 8, Schedule(3, 8, math.inf), np.random.default_rng(0), CPU)


def kneser_ney(blocks: list[list[int]], context: tuple[int, ...], token: int, vocabulary: int) -> float:
    """Interpolated Kneser-Ney by its definition, with dictionaries."""
    three = Counter(gram for block in blocks for gram in zip(block, block[1:], block[2:], strict=False))
    pairs = Counter(gram[1:] for gram in three) + Counter({tuple(block[:2]) for block in blocks})
    ones = Counter(pair[1:] for pair in pairs)
    lower = 1 / vocabulary
    for order, counts in enumerate((ones, pairs, three)):
        if order > len(context):
            break
        seen = context[len(context) - order :]
        n1, n2 = (sum(count == k for count in counts.values()) for k in (1, 2))
        discount = n1 / (n1 + 2 * n2) if n1 else 0.5
        after = {gram: count for gram, count in counts.items() if gram[:-1] == seen}
        if after:
            total = sum(after.values())
            own = max(after.get((*seen, token), 0) - discount, 0) / total
            lower = own + discount * len(after) / total * lower
    return lower


def test_the_trigram_model_is_kneser_ney():
    words = 12
    blocks = np.random.default_rng(0).zipf(1.6, (40, 9)) % words
    model, held = Trigrams(blocks, words), np.random.default_rng(1).integers(0, words, (6, 5))
    losses = model.token_losses(held)
    for row, block in enumerate(held.tolist()):
        for k in range(1, 5):
            context = tuple(block[max(k - 2, 0) : k])
            expected = -math.log(kneser_ney(blocks.tolist(), context, block[k], words))
            assert losses[row, k - 1] == pytest.approx(expected, rel=1e-9)
    every = np.array([[a, b, c] for a in range(3) for b in range(3) for c in range(words)])
    assert np.exp(-model.token_losses(every)[:, 1]).reshape(9, words).sum(axis=1) == pytest.approx(1)


def test_trigrams_beat_pairs_where_words_come_in_threes():
    rng = np.random.default_rng(0)
    block = np.array([[a, b, (a * 7 + b * 3) % 20] for a, b in rng.integers(0, 20, (3000, 2))])
    losses = Trigrams(block[:2500], 20).token_losses(block[2500:])
    assert losses[:, 1].mean() < 0.5 * losses[:, 0].mean() and losses[:, 0].mean() == pytest.approx(
        math.log(20), rel=0.05
    )


def test_a_base_learns_and_is_what_its_card_says(base):
    model, tokenizer = load_base(str(base))
    text = datasets.language_reference().text[60_000:90_000]
    ids = cut(encode(text, tokenizer), 64)
    assert block_losses(model, ids, CPU).mean() < 0.95 * math.log(len(tokenizer))
    assert model.config.max_position_embeddings == 128 and model.config.eos_token_id == 2
    card = json.loads((base / "card.json").read_text())
    assert card["shape"]["layers"] == 1 and card["tokens_per_second"] > 0
    assert card["parameters"] == sum(x.numel() for x in model.parameters())  # tied ones count once
    assert {*card["files"], "card.json"} == {path.name for path in base.iterdir()}


def test_a_base_that_is_damaged_or_nowhere(base, tmp_path, monkeypatch):
    other = tmp_path / "copy"
    shutil.copytree(base, other)
    (other / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ArchiveError, match="copy: model.safetensors missing or not what its card says"):
        load_base(str(other))
    monkeypatch.setenv("MODEL_COLLAPSE_BASE", str(tmp_path))
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="base 'paper' is not here: model-collapse pretrain paper makes it"):
        load_base("paper")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="base 'nobody/nothing' cannot be loaded .* `hf download NAME"):
        load_base("nobody/nothing")


def test_a_base_that_loses_to_trigrams_is_not_used(base, tmp_path):
    other = tmp_path / "copy"
    shutil.copytree(base, other)
    card = {key: value for key, value in json.loads((other / "card.json").read_text()).items() if key != "digest"}
    write_sealed(other / "card.json", card | {"held_out": {"perplexity": 120.4, "trigram_perplexity": 110.0}})
    with pytest.raises(DataError, match="perplexity of 120 on unseen books, a trigram model 110: it is not used"):
        load_base(str(other))


def test_pre_training_stops_where_the_loss_is_no_number(tmp_path):
    text = datasets.language_reference().text[:20_000]
    shape = replace(SHAPES["smoke"], tokens=12_000, rate=float("inf"))
    with pytest.raises(ConfigError, match="pre-training, step 12: the loss is nan"):
        pretrain(shape, [text], train_tokenizer([text], 400), tmp_path)


def test_pre_training_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(llm_base, "EVERY", 5)
    text = datasets.language_reference().text[:20_000]
    tokenizer, shape = train_tokenizer([text], 400), replace(SHAPES["smoke"], tokens=12_000)

    def trained(folder, **options):
        return weights(pretrain(shape, [text], tokenizer, folder, **options))

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 5:
            raise Stop

    whole = trained(tmp_path / "whole")
    with pytest.raises(Stop):
        trained(tmp_path / "parts", on=stop)
    another = trained(tmp_path / "parts", seed=1)
    assert all((another[name] == x).all() for name, x in trained(tmp_path / "another", seed=1).items())
    resumed = trained(tmp_path / "parts")
    assert all((resumed[name] == x).all() for name, x in whole.items())

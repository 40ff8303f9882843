"""Runs of the language model: every study, stops at any place, two processes, and what cannot be done."""

from __future__ import annotations

import codecs
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from model_collapse import datasets, llm
from model_collapse.archive import History, load_record
from model_collapse.checkpoints import take
from model_collapse.datasets import DataError
from model_collapse.figures import affected as of_few
from model_collapse.llm import decoding, finetune, measure
from model_collapse.llm.base import SHAPES, load_base, pretrain
from model_collapse.llm.corpus import load_corpus
from model_collapse.llm.decoding import Decoding
from model_collapse.llm.items import Blocks
from model_collapse.llm.memory import room_for
from model_collapse.recursion import Turn
from model_collapse.regimes import HUMAN, Pool
from model_collapse.runs import ConfigError

WORDS = 300


class Stop(Exception):
    """What a test stops a run with."""


def some_ids(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, WORDS, shape)


@pytest.mark.parametrize("study", [name for name in llm.STUDIES if "opt125m" not in name])
def test_every_study_runs_and_resumes(study, tmp_path, monkeypatch):
    """Stopped while it writes the sample of generation 1, between two batches of prompts."""
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "some.txt").write_text(datasets.language_reference().text[:80_000])
    items = 80 if study == "alarm" else 40  # which an alarm halves
    scale = {
        "chains": 1,
        "n": items,
        "batch": 2 * items // 5,
        "epochs": 1,
        "progress": False,
        "data": tmp_path / "some.txt",
    }
    whole = llm.run(study, "smoke", **scale)
    real, written = decoding.write, []

    def stop(*given, **options):
        written.append(given)
        if len(written) == 5:
            raise Stop
        return real(*given, **options)

    with monkeypatch.context() as patched, pytest.raises(Stop):
        patched.setattr(decoding, "write", stop)
        llm.run(study, "smoke", save=tmp_path, checkpoint=0, **scale)
    assert list(tmp_path.glob("cache/runs/llm/*/*/written-0001.state"))
    assert llm.run(study, "smoke", save=tmp_path, **scale).metrics.equals(whole.metrics)


def test_a_lineage_of_weights_goes_on_from_whichever_generation_was_saved(tmp_path, monkeypatch):
    """Generations that are done between two savings are done again, from the weights of the last one saved."""
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "some.txt").write_text(datasets.language_reference().text[:80_000])
    scale = {"chains": 1, "n": 40, "epochs": 1, "generations": 4, "progress": False, "data": tmp_path / "some.txt"}
    whole = llm.run("beam5-previous-replace", "smoke", **scale)

    def stop(at: str, number: int):
        def on(phase: str, g: int) -> None:
            if (phase, g) == (at, number):
                raise Stop

        return on

    with pytest.raises(Stop):
        llm.run("beam5-previous-replace", "smoke", save=tmp_path, checkpoint=0, on=stop("fit", 2), **scale)
    with pytest.raises(Stop):
        llm.run("beam5-previous-replace", "smoke", save=tmp_path, checkpoint=1e9, on=stop("sample", 4), **scale)
    again = llm.run("beam5-previous-replace", "smoke", save=tmp_path, **scale)
    assert again.metrics.equals(whole.metrics)


def learner(regime: str, **changes):
    config, _ = llm.FAMILY.configure(None, "smoke", regime=regime, n=40, **changes)
    return llm.build(config, config.make_regime(), 1, (0, 0, 0), llm.load(config, None))


def test_a_kept_block_stays_where_its_continuation_would_have_gone():
    source, some = learner("keep(0.25)")
    some.prepare(source, Turn(2**32 - 1, (0, 0, 0)))
    history = History("last")
    for g in range(2):
        turn = Turn(g, (0, 0, 0))
        pool = some.regime(source, history, turn.regime)
        model = some.fit(pool, turn)
        history.append(some.sample(model, pool, turn))
    human, written = (pool.lineage.of_items() == maker for maker in (HUMAN, 0))
    places = pool.items.places
    assert sorted(places.tolist()) == list(range(40)) and human.sum() == 10 and written.sum() == 30
    assert (pool.items.ids[human] == source.items.ids[places[human]]).all()
    assert not (pool.items.ids[written] == source.items.ids[places[written]]).all(axis=1).any()


@pytest.mark.parametrize("prompts", ["original", "chained"])
def test_original_prompts_are_human_and_chained_ones_are_the_pool_s(prompts, monkeypatch):
    source, some = learner("replace", prompts=prompts)
    some.prepare(source, Turn(2**32 - 1, (0, 0, 0)))
    pool, asked = Pool(Blocks(some_ids(40, 64) % 100 + 4, np.arange(40)[::-1].copy()), None), []

    def write(model, ids, *rest, **options):
        asked.append(ids)
        return ids

    monkeypatch.setattr(llm, "write_blocks", write)
    some.sample(some.first, pool, Turn(1, (0, 0, 0)))
    assert (asked[0] == (source.items.ids if prompts == "original" else pool.items.ids[::-1])).all()


@pytest.mark.parametrize("start", ["base", "generation0", "previous", "scratch"])
def test_weights_start_where_they_are_told_to(start, monkeypatch):
    source, some = learner("replace", start=start)
    real, begun = llm.fine_tune, []

    def fit(model, *rest, **options):
        begun.append({name: x.clone() for name, x in take(model).items()})
        return real(model, *rest, **options)

    monkeypatch.setattr(llm, "fine_tune", fit)
    some.prepare(source, Turn(2**32 - 1, (0, 0, 0)))
    pool = Pool(source.items, None)
    ended = [take(some.fit(pool, Turn(g, (0, 0, 0)))) for g in range(3)]

    def same(a: dict, b: dict) -> bool:
        return all(torch.equal(x, b[name]) for name, x in a.items())

    assert len(begun) == 3 and not any(same(begun[g], ended[g]) for g in range(3))
    from_where = {"base": [begun[0], begun[0]], "generation0": [ended[0], ended[0]], "previous": ended[:2]}
    if start == "scratch":
        assert not same(begun[1], begun[0]) and not same(begun[2], begun[1])
    else:
        assert all(same(begun[g + 1], from_where[start][g]) for g in range(2))
    assert start == "generation0" or not same(begun[2], ended[0])


def test_variants_write_as_their_names_say():
    said = {name: llm.FAMILY.configure(None, "smoke", variant=name)[0].decoding for name in llm.VARIANTS}
    assert said == {
        "beam5": Decoding(5, 1.0, 1.0, 1.0),
        "penalty2": Decoding(5, 1.0, 1.0, 2.0),
        "penalty3": Decoding(5, 1.0, 1.0, 3.0),
        "sample": Decoding(0, 1.0, 1.0, 1.0),
        "cool": Decoding(0, 0.7, 1.0, 1.0),
        "nucleus": Decoding(0, 1.0, 0.95, 1.0),
    }


IMPOSSIBLE = {
    "text must be wikitext, reference or dialects, not 'poems'": {"text": "poems"},
    "prompts must be original or chained, not 'none'": {"prompts": "none"},
    "start must be base, generation0, previous or scratch, not 'zero'": {"start": "zero"},
    "rate must be above 0, not 0": {"rate": 0.0},
    r"nucleus must lie in \(0, 1\], not 2": {"nucleus": 2.0},
    "block must be 1, one network a chain, not 3": {"block": 3},
    "n = 1000000 is more than the": {"n": 1_000_000},
    "a search writes no end token: ends=drawn wants beams=0": {"ends": "drawn"},
    r"continue each of \d+ blocks once, and 9000 are asked for": {
        "regime": "fresh",
        "n_real": 1,
        "n_synthetic": 9000,
        "n": 50,
    },
    "from scratch, base must be one of smoke, quick, laptop, paper": {"base": "facebook/opt-125m"},
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_impossible_settings_are_refused(message):
    with pytest.raises(ValueError, match=message):
        llm.run(None, "smoke", progress=False, **IMPOSSIBLE[message])


def test_a_text_that_is_too_short_for_a_block(tmp_path):
    (tmp_path / "short.txt").write_text("three little words " * 20)
    with pytest.raises(DataError, match="tokens are too few for one block of 64"):
        llm.run(None, "smoke", data=tmp_path / "short.txt", progress=False)


def from_base(base: Path, tmp_path: Path, **changes):
    """A run of few blocks from a little base."""
    (tmp_path / "some.txt").write_text(datasets.language_reference().text[:60_000])
    own = {"data": tmp_path / "some.txt", "base": str(base), "start": "base", "n": 40, "epochs": 1, "chains": 1}
    return llm.run(None, "smoke", **(own | {"progress": False, "generations": 1} | changes))


def test_another_base_makes_another_run(base, tmp_path):
    def run(folder):
        (tmp_path / "some.txt").write_text("A text of some words, and of more words. \n" * 400)
        return llm.FAMILY.plan(None, "smoke", data=tmp_path / "some.txt", base=str(folder), start="base")

    other = tmp_path / "other"
    shutil.copytree(base, other)
    first, same = run(base).facts["data"]["base"], run(other).facts["data"]["base"]
    with open(other / "model.safetensors", "ab") as stream:
        stream.write(b"!")
    changed = run(other).facts["data"]["base"]
    assert first == same != changed and len(first) == 64
    assert llm.FAMILY.plan(None, "smoke").facts["data"]["base"] is None


def test_any_causal_model_of_the_library_can_be_a_base(base, tmp_path):
    other = tmp_path / "gpt2"
    tokenizer = load_base(str(base))[1]
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=128, n_embd=16, n_layer=2, n_head=2, bos_token_id=2, eos_token_id=2
    )
    GPT2LMHeadModel(config).save_pretrained(other)
    tokenizer.save_pretrained(other)
    for how in ({"variant": "beam5"}, {"variant": "nucleus"}, {"variant": "sample", "ends": "drawn"}):
        first, again = (from_base(other, tmp_path, n=20, **how) for _ in range(2))
        assert first.at("zero_shot_perplexity", 0)["mean"] > first.at("perplexity", 0)["mean"] > 1
        assert first.metrics.equals(again.metrics)


def test_a_base_whose_context_is_too_short(base, tmp_path):
    other = tmp_path / "short"
    shutil.copytree(base, other)
    shape = replace(SHAPES["smoke"], context=100)
    pretrain(shape, [datasets.language_reference().text[:30_000]], load_base(str(base))[1], other)
    with pytest.raises(ConfigError, match="reads 100 tokens; 128 are needed"):
        from_base(other, tmp_path)


def test_a_tokenizer_that_does_not_fit_the_base(base, tmp_path):
    other = tmp_path / "misfit"
    GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=128, n_embd=16, n_layer=1, n_head=2)).save_pretrained(other)
    load_base(str(base))[1].save_pretrained(other)
    with pytest.raises(DataError, match="its tokenizer has 400 entries, its network 50"):
        from_base(other, tmp_path)


def test_a_loss_that_is_no_number_names_generation_and_epoch(tmp_path):
    with pytest.raises(ConfigError, match="generation 0, epoch 1: the loss is nan; what was done before is kept"):
        llm.run(None, "smoke", rate=1e30, n=40, epochs=1, progress=False)


@pytest.mark.parametrize("phase", ["learns", "writes", "is measured"])
def test_out_of_memory_names_the_batch_that_fits(phase, base, tmp_path, monkeypatch):
    """Memory for five blocks at once, in one phase."""

    def narrow(work, size):
        def tried(*given, **options):
            if size(*given) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return work(*given, **options)

        return tried

    if phase == "learns":
        monkeypatch.setattr(finetune, "token_losses", narrow(finetune.token_losses, lambda model, rows: len(rows)))
    elif phase == "writes":
        monkeypatch.setattr(decoding, "write", narrow(decoding.write, lambda model, rows, *_: len(rows)))
    else:
        monkeypatch.setattr(measure, "token_losses", narrow(measure.token_losses, lambda model, rows: len(rows)))
    line = f"out of memory while generation 0 {phase} with a batch of 16: --set batch=4 fits"
    with pytest.raises(ConfigError, match=line):
        from_base(base, tmp_path)


def test_memory_for_nothing():
    with pytest.raises(ConfigError, match="not even a batch of one fits"), room_for("it runs", 8, _too_much):
        _too_much(8)
    with pytest.raises(RuntimeError, match="another thing"), room_for("it runs", 8, _too_much):
        raise RuntimeError("another thing")


def _too_much(batch: int) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")


def test_a_stop_while_it_writes_costs_no_second_fit(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    scale = {"chains": 1, "n": 40, "epochs": 2, "generations": 2, "progress": False, "save": tmp_path}
    epochs = []
    real, learned = decoding.write, finetune._epoch

    def count(*given):
        epochs.append(given)
        return learned(*given)

    def stop(*given, **options):
        if len(epochs) == 2 * 2:  # generations 0 and 1
            raise Stop
        return real(*given, **options)

    monkeypatch.setattr(finetune, "_epoch", count)
    with monkeypatch.context() as patched, pytest.raises(Stop):
        patched.setattr(decoding, "write", stop)
        llm.run(None, "smoke", checkpoint=0, **scale)
    llm.run(None, "smoke", checkpoint=0, **scale)
    assert len(epochs) == 3 * 2


TOGETHER = """
import sys
import numpy as np, torch
from accelerate import PartialState
from safetensors.torch import save_file
from model_collapse import device, llm
from model_collapse.checkpoints import take
from model_collapse.llm.decoding import Decoding, write_blocks
from model_collapse.llm.finetune import Schedule, fine_tune
from transformers import OPTConfig, OPTForCausalLM

torch.set_num_threads(1)
torch.manual_seed(0)
model = OPTForCausalLM(OPTConfig(
    vocab_size=300, hidden_size=32, word_embed_proj_dim=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
    max_position_embeddings=64, dropout=0.0, bos_token_id=2, eos_token_id=2, pad_token_id=1,
))
cpu, losses = device.Compute("cpu", "fp32"), []
ids = np.random.default_rng(0).integers(4, 300, (13, 32))  # 13 = 2 x 6 + 1: a batch of one at the end
rng = np.random.default_rng(1)
fine_tune(model, ids, 13, Schedule(2, 6, 1e-2), rng, cpu, on=lambda epoch, loss: losses.append(loss))
written = write_blocks(model, ids, 8, Decoding(0), np.random.default_rng(2), cpu, batch=3)
found = {"losses": torch.tensor(losses, dtype=torch.float64), "written": torch.from_numpy(written), **take(model)}
number = PartialState().process_index
save_file({name: x.contiguous() for name, x in found.items()}, f"{sys.argv[1]}/{PartialState().num_processes}-{number}")
"""


def launched(processes: int, *command: str, **variables: str) -> None:
    """Run Python in so many processes, several as ``accelerate launch`` and ``torchrun`` start them."""
    together = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    launch = [sys.executable, *(together if processes > 1 else []), *command]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(launch, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_learn_and_write_what_one_does(tmp_path):
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    for processes in (1, 2):
        launched(processes, str(script), str(tmp_path))
    alone, first, second = (load_file(tmp_path / name) for name in ("1-0", "2-0", "2-1"))
    assert alone["losses"].tolist() == pytest.approx(first["losses"].tolist(), rel=1e-5)
    assert alone["losses"][1] < alone["losses"][0]
    for name, x in alone.items():
        torch.testing.assert_close(x, first[name], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)


def test_a_run_of_two_processes_leaves_one_record(tmp_path):
    command = ["-m", "model_collapse.cli", "run", "llm", "--profile", "smoke", "--chains", "1", "--generations", "1"]
    small = ["--set", "n=40", "--set", "epochs=1", "--results", str(tmp_path), "--name", "two"]
    launched(2, *command, *small, MODEL_COLLAPSE_CACHE=str(tmp_path / "cache"))
    record = load_record(tmp_path / "llm" / "two")
    assert record.generations == [0, 1] and record.manifest["machine"]["processes"] == 2
    assert not list((tmp_path / "cache" / "runs").glob("*/*"))


def test_a_two_part_text_says_the_same_in_both_parts():
    corpus, plain = load_corpus("dialects", None), load_corpus("reference", None)
    assert corpus.minor != plain.test and codecs.encode(corpus.minor, "rot13") == corpus.test == plain.test
    assert len(corpus.train) == len(plain.train)
    moved = [a != b for a, b in zip(corpus.train, plain.train, strict=True) if b.isascii() and b.isalpha()]
    assert sum(moved) / len(moved) == pytest.approx(0.05, abs=0.01)
    assert corpus.card()["sha256"] != plain.card()["sha256"] and "dialects" in corpus.card()["name"]


def test_the_smaller_part_is_read_apart():
    record = llm.run("dialect-replace", "smoke", text="dialects", n=300, epochs=3, generations=1, progress=False)
    for g in (0, 1):
        major, minor = (record.at(f"{name}bits_per_byte", g)["mean"] for name in ("", "minor_"))
        assert minor > major + 0.1
    left, right = of_few.dialects({"replace": record}).axes
    assert np.allclose(left.lines[0].get_ydata(), record.summary("bits_per_byte")["mean"])
    for ax in (left, right):
        assert np.allclose(ax.lines[-1].get_ydata(), record.summary("minor_bits_per_byte")["mean"])
    assert "minor_perplexity" not in set(llm.run(None, "smoke", generations=0, progress=False).statistics["metric"])

"""The VAE: the released network, streams as pools, a fit that goes on where it was."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from model_collapse import datasets, device, vae
from model_collapse.archive import ArchiveError, Record
from model_collapse.distances import precision_recall
from model_collapse.recursion import Turn
from model_collapse.regimes import HUMAN, Pool, make_regime
from model_collapse.runs import ConfigError, Diverged
from model_collapse.vae import training
from model_collapse.vae.items import Images, Part
from model_collapse.vae.measure import Eye, directions, lost_at
from model_collapse.vae.minority import make_rare, rare_labels
from model_collapse.vae.network import VAE, elbo_terms
from model_collapse.vae.training import Schedule, decode_means, epoch_images, fit, negative_elbo, weights_of

CPU = device.Compute("cpu", "fp32")


def small() -> VAE:
    return VAE(8, 5, (8, 16))


def images(n: int, shade: int) -> np.ndarray:
    return np.full((n, 8, 8), shade, dtype=np.uint8)


def human(n: int = 60, shade: int = 255) -> Images:
    return Images((Part(n, images(n, shade)),))


@pytest.fixture(scope="module")
def decoder():
    """Weights of a decoder whose every image is nearly black."""
    with device.seeded(np.random.default_rng(0)):
        network = small()
    with torch.no_grad():
        network.decoder[-1].weight.zero_()
        network.decoder[-1].bias.fill_(-20.0)
    return weights_of(network)


def test_the_released_network_has_its_number_of_parameters():
    assert sum(p.numel() for p in VAE().parameters()) == 647_081


def test_the_decoder_is_its_layers_one_after_the_other():
    """`decode` merges two of them into one map; values and gradients are those of the plain chain of layers."""
    with device.seeded(np.random.default_rng(1)):
        network, z = small().double(), torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    plain = network.decoder(network.spread(z).unflatten(1, network.shape))
    weights = [z, *network.spread.parameters(), *network.decoder.parameters()]
    merged = network.decode(z)
    assert torch.allclose(merged, plain, rtol=0, atol=1e-12)
    sides = (torch.autograd.grad((x * x).sum(), weights) for x in (merged, plain))
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(*sides, strict=True))


def test_the_elbo_is_that_of_the_distributions():
    torch.manual_seed(0)
    network, x, noise = small(), torch.rand(7, 1, 8, 8).round(), torch.randn(7, 5)
    logits, mean, log_variance = network(x, noise)
    error, divergence = elbo_terms(logits, x, mean, log_variance)
    likelihood = Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    posterior = Normal(mean, torch.exp(0.5 * log_variance))
    assert torch.allclose(error, -likelihood, rtol=1e-5)
    assert torch.allclose(divergence, kl_divergence(posterior, Normal(0.0, 1.0)).sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("regime", "white"),
    [("replace", 0.0), ("keep(0.25)", 0.25), ("augment", 0.5), ("accumulate", 0.25), ("accumulate_subsample", 0.25)],
)
def test_a_pool_of_streams_has_its_human_share(regime, white, decoder):
    """Human images are white and decoders draw black, so the share of white rows is the human share."""
    chosen = make_regime(regime)
    n = 4000
    source = type("Source", (), {"items": human(n), "n": n})
    sampled = [Images((Part(chosen.needed(n), None, decoder),)) for _ in range(3)]
    history = type("History", (list,), {})(sampled)
    history.total, history.parts, history.sizes = Images.merge(sampled), sampled, [part.size for part in sampled]
    pool = chosen(source, history, np.random.default_rng(0))
    assert pool.lineage.share(HUMAN) == pytest.approx(white, abs=0.03)
    rows = epoch_images(small, pool.items, n, np.random.default_rng(1), CPU, False)
    assert len(rows) == n and (rows.float() > 0.5).float().mean().item() == pytest.approx(white, abs=0.03)


def test_a_finite_pool_gives_every_image_once():
    pool = Images.merge([human(3, 255), human(2, 10)])
    rows = epoch_images(small, pool, 1000, np.random.default_rng(0), CPU, False)
    assert rows.shape == (5, 8, 8) and sorted(rows[:, 0, 0].tolist()) == [10, 10, 255, 255, 255]


def test_a_stream_is_drawn_anew_and_a_bernoulli_draw_is_black_or_white():
    with device.seeded(np.random.default_rng(3)):
        weights = weights_of(small())
    pool, rng = Images((Part(10, None, weights),)), np.random.default_rng(0)
    first, second = (epoch_images(small, pool, 10, rng, CPU, False) for _ in range(2))
    assert not torch.equal(first, second)
    assert set(epoch_images(small, pool, 10, rng, CPU, True).unique().tolist()) == {0.0, 1.0}


def test_taking_from_images_and_from_a_stream(decoder):
    rng = np.random.default_rng(0)
    numbered = Images((Part(50, np.arange(50, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)),))
    assert len(set(numbered.take(20, rng).parts[0].images[:, 0, 0].tolist())) == 20
    assert Images((Part(50, None, decoder),)).take(20, rng).size == 20
    with pytest.raises(ValueError, match="cannot take 51 different items of 50"):
        numbered.parts[0].take(51, rng)
    drawn, counts = Images.subsample([numbered, Images((Part(150, None, decoder),))], 100, rng)
    assert drawn.size == counts.sum() == 100 and counts.shape == (1, 2) and 10 < counts[0, 0] < 40


def test_items_survive_being_saved(decoder):
    mixed = Images.merge([human(4), Images((Part(9, None, decoder),))])
    again = Images.from_arrays(mixed.arrays())
    assert [part.count for part in again.parts] == [4, 9] and not again.finite
    assert (again.parts[0].images == 255).all()
    assert all((again.parts[1].decoder[name] == x).all() for name, x in decoder.items())


@pytest.fixture(scope="module")
def eye():
    return Eye(datasets.digits(), CPU)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).float() / 255


def test_human_images_look_human(eye):
    seen = eye.measures(as_tensor(datasets.digits().held_out))
    assert seen["frechet"] == pytest.approx(0, abs=1e-6) and seen["precision"] == seen["recall"] == 1
    assert seen["nearest"] == pytest.approx(0, abs=1e-2) and seen["classes_alive"] == 1
    assert seen["class_entropy"] > 3.2 and seen["unsure_share"] < 0.25


def test_one_digit_over_and_over_is_seen_as_that(eye):
    data = datasets.digits()
    nulls = data.images[data.labels == 0][:120]
    seen = eye.measures(as_tensor(nulls))
    assert seen["classes_alive"] <= 0.2 and seen["class_entropy"] < 0.2 and seen["rarest_share"] == 0
    assert seen["recall"] < 0.3 < seen["precision"] and seen["frechet"] > 10


def test_blends_of_two_digits_leave_the_classifier_unsure(eye):
    data = datasets.digits()
    pure, other = data.images[:300], np.roll(data.images[:300], 1, axis=0)
    blends = (pure.astype(int) + other).clip(0, 510) // 2
    sharp, blended = eye.measures(as_tensor(pure)), eye.measures(as_tensor(blends.astype(np.uint8)))
    assert blended["unsure_share"] > 2 * sharp["unsure_share"] and blended["confidence"] < sharp["confidence"]
    assert blended["frechet"] > 3 * sharp["frechet"]


def test_other_images_have_no_classifier():
    data = datasets.digits()
    assert Eye(datasets.ImageSet("mine", data.images, data.held_out), CPU).measures(torch.rand(9, 8, 8)) == {}


def one_chain(**changes):
    """A learner whose generation 0 is trained, and its human images."""
    config, _ = vae.FAMILY.configure(None, "smoke", n=300, epochs=2, precision="fp32", **changes)
    source, learner = vae.build(config, config.make_regime(), 1, (0, 0, 0), vae.load(config, None))
    learner.prepare(source, Turn(2**32 - 1, (0, 0, 0)))
    return learner, source.items


@pytest.fixture(scope="module")
def measured():
    """A learner, the model of generation 1, what is measured of it, and the drawings that were looked at."""
    learner, items = one_chain()
    model = learner.fit(Pool(items, None), Turn(1, (0, 0, 0)))
    found = learner.measure(model, items, Turn(1, (0, 0, 0)))
    rng = Turn(1, (0, 0, 0)).measure
    drawings = decode_means(model, 2000, CPU.generator(rng), CPU)
    return learner, model, {name: value.item() for name, value in found.items()}, drawings, rng


@torch.no_grad()
def test_drawings_are_measured_through_the_encoder_of_generation_0(measured):
    learner, model, found, drawings, _ = measured
    latents, own = (network.encode(drawings.unsqueeze(1))[0].numpy() for network in (learner.first, model))
    assert found["latent_sd_2000"] == pytest.approx(latents.std(ddof=1), rel=1e-4)
    assert found["latent_sd"] == pytest.approx(latents[:100].std(ddof=1), rel=1e-4)
    assert found["latent_mean"] == pytest.approx(latents.mean(), abs=1e-5)
    assert abs(own.std(ddof=1) / latents.std(ddof=1) - 1) > 0.01
    assert found["pixel_variance"] == pytest.approx(drawings.numpy().var(axis=0, ddof=1).mean(), rel=1e-4)


def test_the_elbo_is_that_of_images_which_were_held_out(measured):
    learner, model, found, _, rng = measured
    noise = int(rng.integers(2**63))
    held, learned = (
        negative_elbo(model, images, torch.Generator().manual_seed(noise), CPU).mean().item()
        for images in (learner.data.held_out, learner.data.images)
    )
    assert found["negative_elbo"] == pytest.approx(held, rel=1e-6) and held != pytest.approx(learned, rel=1e-5)


def test_two_classifiers_look_and_precision_takes_five_neighbours(measured):
    learner, _, found, drawings, _ = measured
    first, second = (Eye(learner.data, CPU, seed) for seed in (0, 1))
    for name in vae.AGAIN:
        assert found[name] == pytest.approx(first.measures(drawings)[name], rel=1e-5)
        assert found[f"{name}_second"] == pytest.approx(second.measures(drawings)[name], rel=1e-5)
    assert found["frechet_second"] != pytest.approx(found["frechet"], rel=1e-3)
    sharp = as_tensor(learner.data.images[:250])  # enough of them lie among the human ones
    features, human = first.network.look(sharp)[0], first.human[:250]
    seen, of_three = first.measures(sharp), precision_recall(human, features[: len(human)], 3)
    assert (seen["precision"], seen["recall"]) == precision_recall(human, features[: len(human)], 5) != of_three


@pytest.mark.parametrize("variant", list(vae.VARIANTS))
def test_only_the_binarised_variant_draws_black_and_white(variant, monkeypatch):
    learner, items = one_chain(variant=variant)
    heard = []
    monkeypatch.setattr(vae, "fit", lambda *given, **options: heard.append(options["binarise"]))
    learner.fit(Pool(items, None), Turn(1, (0, 0, 0)))
    assert heard == [variant == "binarised"]


def test_every_generation_begins_with_weights_of_its_own():
    still = Schedule(1, 32, rate=0.0, decay=0.0)
    first, again, other = (
        weights_of(fit(small, human(), 60, still, Turn(g, (0, 0, 0)).fit, CPU))["spread.weight"] for g in (1, 1, 2)
    )
    assert (first == again).all() and not (first == other).any()


def test_the_schedule_is_the_released_one(monkeypatch):
    given, real = [], torch.optim.Adam

    def heard(*parameters, **options):
        given.append(options)
        return real(*parameters, **options)

    monkeypatch.setattr(training.torch.optim, "Adam", heard)
    fit(small, human(), 60, Schedule(1, 32), np.random.default_rng(0), CPU)
    assert given == [{"lr": 1e-3, "weight_decay": 1e-5}]
    assert (vae.Config().epochs, vae.Config().batch, vae.Config().latent) == (30, 256, 20)


def test_a_larger_finite_pool_gives_no_more_rows():
    numbered = Images((Part(50, np.arange(50, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)),))
    rows = epoch_images(small, numbered, 20, np.random.default_rng(0), CPU, False)
    assert len(rows) == 20 == len(set(rows[:, 0, 0].tolist()))


def test_a_loss_that_is_no_number_names_the_generation(monkeypatch):
    real, fits = vae.fit, []

    def diverge(*given, **options):
        fits.append(given)
        if len(fits) == 2:
            raise Diverged("epoch 1: the loss is nan")
        return real(*given, **options)

    monkeypatch.setattr(vae, "fit", diverge)
    with pytest.raises(ConfigError, match="generation 1, epoch 1: the loss is nan; what was done before is kept"):
        vae.run("stream-replace", "smoke", chains=1, n=100, epochs=1, progress=False)


def test_a_record_keeps_images_from_the_same_latents():
    record = vae.run("stream-replace", "smoke", progress=False)
    kept = record.samples("kept")
    assert kept["generation"].tolist() == [0, 1, 2] and kept["images"].shape == (3, 30, 8, 8)
    assert kept["images"].dtype == np.uint8 and kept["images"].std() > 0
    again = vae.FAMILY.replay(vae.FAMILY.recorded(record.manifest)[0], kept)["latent_sd"][:, 0]
    assert again == pytest.approx(record.chains("latent_sd")[0].to_numpy(), rel=1e-5)
    assert {f"{name}_second" for name in vae.AGAIN} <= set(record.statistics["metric"])


def test_a_class_made_rare_is_rare_and_the_others_are_whole():
    data, rng = datasets.digits(), np.random.default_rng(4)
    left, minority = make_rare(data, 0.01, rng)
    before, after = np.bincount(data.labels), np.bincount(left.labels, minlength=10)
    others = np.arange(10) != minority.label
    assert (before[others] == after[others]).all()
    assert after[minority.label] == round(0.01 / 0.99 * before[others].sum())
    assert minority.shares.sum() == pytest.approx(1) and minority.shares[minority.label] == pytest.approx(
        0.01, abs=1e-3
    )
    assert {make_rare(data, 0.01, rng)[1].label for _ in range(20)} > {minority.label}


def test_which_digit_was_rare_follows_from_the_seed(monkeypatch):
    made = []

    def noted(*args):
        made.append(make_rare(*args))
        return made[-1]

    monkeypatch.setattr(vae, "make_rare", noted)
    scale = {"chains": 4, "generations": 1, "epochs": 1, "seed": 7, "progress": False}
    assert rare_labels(vae.run("minority-replace", "smoke", **scale)) == [minority.label for _, minority in made]
    assert len({minority.label for _, minority in made}) > 1
    with pytest.raises(ArchiveError, match="no digit is rare in vae/smoke-"):
        rare_labels(vae.run("stream-replace", "smoke", **scale))


def test_what_a_student_knows_of_a_class_depends_on_what_it_was_shown():
    """Shown human images of every class it knows them all; shown none of the rare one, only that one is lost."""
    data = datasets.digits()
    _, minority = make_rare(data, 0.01, np.random.default_rng(0))
    rows = np.tile(np.arange(len(data.images)), 6)
    all_classes, without = rows, rows[data.labels[rows] != minority.label]

    def known(rows):
        return minority.measures(data.images[rows], data.labels[rows], data, np.random.default_rng(1))

    whole, lost = known(all_classes), known(without)
    assert whole["minority_recall"] > 0.5 and lost["minority_recall"] == 0 == lost["minority_share"]
    assert abs(whole["accuracy"] - lost["accuracy"]) < 0.05


def test_the_network_of_generation_0_is_shared_by_runs_that_differ_later(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    scale = {"chains": 1, "generations": 1, "n": 200, "epochs": 1, "progress": False, "save": tmp_path}
    alone = vae.run("stream-keep10", "smoke", **{**scale, "save": None})
    vae.run("stream-replace", "smoke", **scale)
    (first,) = (tmp_path / "cache" / "vae").iterdir()
    trained = first.stat().st_mtime_ns
    assert vae.run("stream-keep10", "smoke", **scale).metrics.equals(alone.metrics)
    assert first.stat().st_mtime_ns == trained
    vae.run("minority-replace", "smoke", **scale)
    vae.run("stream-replace", "smoke", **scale, seed=1, name="other")
    assert len(list((tmp_path / "cache" / "vae").iterdir())) == 3


class Stop(Exception):
    pass


def stop_after(epoch: int):
    def on(now: int, loss: float) -> None:
        if now == epoch:
            raise Stop

    return on


def test_a_fit_goes_on_inside_a_generation(tmp_path, decoder):
    pool = Images.merge([human(64, 200), Images((Part(64, None, decoder),))])

    def trained(**options) -> dict[str, np.ndarray]:
        return weights_of(fit(small, pool, 128, Schedule(4, 32), np.random.default_rng(5), CPU, **options))

    whole = trained()
    with pytest.raises(Stop):
        trained(checkpoint=tmp_path / "fit", on=stop_after(1))
    assert (tmp_path / "fit").exists()
    seen = []
    resumed = trained(checkpoint=tmp_path / "fit", on=lambda epoch, loss: seen.append(epoch))
    assert seen == [2, 3] and not (tmp_path / "fit").exists()
    assert all((resumed[name] == x).all() for name, x in whole.items())


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    fit(small, human(), 60, Schedule(1, 32), np.random.default_rng(0), CPU)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_loss_that_is_no_number_names_the_epoch():
    with pytest.raises(Diverged, match="epoch 1: the loss is nan"):
        fit(small, human(), 60, Schedule(1, 32, rate=float("inf")), np.random.default_rng(0), CPU)


def test_learning_learns():
    losses: list[float] = []
    data = datasets.digits()
    pool = Images((Part(600, data.images[:600]),))
    fit(small, pool, 600, Schedule(15, 50), np.random.default_rng(0), CPU, on=lambda epoch, loss: losses.append(loss))
    assert losses[-1] < 0.75 * losses[0]


def test_gaps_between_precisions_are_in_standard_deviations_over_chains():
    record = vae.run("precision", "smoke", chains=3, n=100, epochs=1, progress=False)
    gaps = vae.precision_gaps(record)
    single, half = (record.chains("latent_sd", f"precision={kind}").loc[1] for kind in ("fp32", "bf16"))
    pooled = np.sqrt((single.var() + half.var()) / 2)
    assert gaps[100][1] == pytest.approx((half.mean() - single.mean()) / pooled, rel=1e-3)
    assert list(gaps) == [100, 2000] and gaps[100][1] != gaps[2000][1]


def test_directions_are_counted_however_they_lie():
    rng = np.random.default_rng(0)
    turned, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    spreads = np.array([[1.0, 0.5, 0.2, 0.12, 0.08, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.05] * 6])
    latents = 3 + rng.normal(size=(3, 4000, 6)) * spreads[:, None] @ turned
    assert directions(latents).tolist() == [4, 1, 0]
    assert directions(np.ones((2, 100, 6))).tolist() == [0, 0]


def test_a_class_is_lost_where_it_stays_away():
    shares = {k: {0: [0.1] * 4, 1: [0.1] * 4} for k in range(10)}
    shares[3] = {0: [0.1, 0.009, 0.02, 0.01], 1: [0.1, 0.01, 0.009, 0.0]}  # comes back in one chain
    shares[8][1] = [0.1, 0.0, 0.0, 0.0]
    shares[9][0] = [0.0, 0.0, 0.0, 0.0]
    shares[7][1] = [0.1, 0.1, 0.1, 0.0]
    kept = [
        {"arm": "", "metric": f"class_{k}", "generation": g, "chain": chain, "value": value}
        for k, chains in shares.items()
        for chain, values in chains.items()
        for g, value in zip((0, 1, 2, 5), values, strict=True)
    ]
    lost = lost_at(Record({}, pd.DataFrame(kept), pd.DataFrame()))
    assert np.isnan(lost[0][3]) and lost[1][3] == 2
    assert (lost[1][8], lost[0][9], lost[1][7]) == (1, 0, 5) and np.isnan(lost[0][8])
    assert lost.shape == (10, 2) and lost.isna().sum().sum() == 16
    none = Record({}, pd.DataFrame(kept).assign(metric="sd"), pd.DataFrame({"arm": [""], "metric": ["sd"]}))
    with pytest.raises(ArchiveError, match="class_0"):
        lost_at(none)


@pytest.mark.parametrize("study", list(vae.STUDIES))
def test_every_study_runs_and_resumes(study, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))

    def stop(phase: str, g: int) -> None:
        if (phase, g) == ("sample", 1):
            raise Stop

    scale = {"chains": 1, "n": 200, "epochs": 1, "progress": False}
    whole = vae.run(study, "smoke", **scale)
    with pytest.raises(Stop):
        vae.run(study, "smoke", save=tmp_path, checkpoint=0, on=stop, **scale)
    assert vae.run(study, "smoke", save=tmp_path, **scale).metrics.equals(whole.metrics)


IMPOSSIBLE = {
    "images must be digits or mnist, not 'cats'": {"images": "cats"},
    "epochs must be at least 1, not 0": {"epochs": 0},
    "device must be auto, cpu or cuda, not 'tpu'": {"device": "tpu"},
    "precision must be auto, bf16 or fp32, not 'int8'": {"precision": "int8"},
    "block must be 1, one network a chain, not 2": {"block": 2},
    r"rare must lie in \[0, 0.5\), not 0.7": {"rare": 0.7},
    "n = 2000 is more than the 1498 images of scikit-learn digits": {"n": 2000},
    "2 generations of 900 fresh images need 1800 set aside, not 1098": {
        "regime": "fresh",
        "n_real": 900,
        "n_synthetic": 10,
    },
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_impossible_settings_are_refused(message):
    with pytest.raises(ValueError, match=message):
        vae.run(None, "smoke", progress=False, **IMPOSSIBLE[message])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="device 'cuda' is not there: take --set device=cpu"):
        vae.run(None, "smoke", device="cuda", progress=False)


def test_own_images_are_learned_from_and_class_measures_are_left_out(tmp_path):
    np.save(tmp_path / "mine.npy", datasets.digits().images[:300])
    record = vae.run(None, "smoke", data=tmp_path / "mine.npy", n=0, progress=False)
    assert record.manifest["data"]["name"] == "mine.npy" and record.manifest["data"]["images"] == 250
    known = set(record.statistics["metric"])
    assert "latent_sd" in known and not known & {"class_entropy", "unsure_share", "frechet", "recall"}

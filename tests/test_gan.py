"""The GAN: losses, truncation, what is measured, the bar for generation 0, the rule about faces."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT, no_data
from PIL import Image

from model_collapse import datasets, device, gan
from model_collapse.archive import ArchiveError, load_record
from model_collapse.distances import precision_recall
from model_collapse.figures import gan as figures
from model_collapse.gan.items import Pictures
from model_collapse.gan.measure import Gallery, Lens, excess, pairwise_distance, spectrum
from model_collapse.gan.network import Discriminator, Generator, discriminator_loss, generator_loss
from model_collapse.gan.training import Schedule, Trio, _batch, draw, fit
from model_collapse.regimes import HUMAN, make_regime
from model_collapse.runs import ConfigError, Diverged

CPU = device.Compute("cpu", "fp32")
PICTURES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)


def small() -> Trio:
    return Trio(16, 3, 5)


def parameters(network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_networks_are_as_small_as_they_are_said_to_be():
    assert parameters(Generator()) == 296_899 and parameters(Discriminator()) == 398_657
    assert Generator(24, 1)(torch.zeros(2, 64)).shape == (2, 1, 24, 24)
    assert Discriminator(24, 1)(torch.zeros(2, 1, 24, 24)).shape == (2,)


def test_hinge_losses_of_known_scores():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.0])
    assert discriminator_loss(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1) / 2)
    assert generator_loss(fake).item() == 1.0


def test_the_kernels_of_the_discriminator_as_matrices_have_norm_one():
    torch.manual_seed(0)
    network = Discriminator().train()
    for _ in range(200):  # one step of the power iteration each
        network(torch.randn(2, 3, 32, 32))
    for layer in (network.body[0], network.body[2], network.body[4], network.body[7]):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.005)


def test_the_average_follows_the_generator():
    networks = small()
    with torch.no_grad():
        for weight in networks.generator.parameters():
            weight.add_(1.0)
    gaps = [(new - old).mean().item() for old, new in _pairs(networks)]
    networks.follow(1_000_000)
    assert gaps == pytest.approx([1.0] * len(gaps), abs=1e-5)
    assert [(new - old).mean().item() for old, new in _pairs(networks)] == pytest.approx([0.999] * len(gaps), abs=1e-5)
    networks.follow(0)  # a young average forgets most of what it was
    assert [(new - old).mean().item() for old, new in _pairs(networks)] == pytest.approx([0.0999] * len(gaps), abs=1e-5)


def test_the_average_has_statistics_of_its_own():
    """They are those of what its first layer makes of latents, far from the generator's here."""
    networks = small()
    with torch.no_grad():
        networks.average.spread.weight.mul_(10)
    network = networks.settle(torch.Generator().manual_seed(0), CPU)
    z = torch.randn(5000, 5, generator=torch.Generator().manual_seed(1))
    hidden = network.spread(z).unflatten(1, network.start)
    assert not network.training
    assert network.body[0].running_var.numpy() == pytest.approx(hidden.var((0, 2, 3)).numpy(), rel=0.05)
    assert torch.equal(networks.generator.body[0].running_var, torch.ones(128))


def _pairs(networks: Trio):
    return list(zip(networks.average.parameters(), networks.generator.parameters(), strict=True))


def test_truncation_draws_latents_together_to_their_mean():
    """The mean of the latents is 0: pictures of one truncation are those of latents that were scaled by it."""
    network = small().average.eval()
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    seen = []
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for truncation in (1.0, 0.5):
        draw(network, 6, truncation, torch.Generator().manual_seed(1), CPU)
    assert torch.equal(seen[0], z) and torch.equal(seen[1], 0.5 * z)


def test_pictures_are_mirrored_and_never_turned():
    pixels = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    pixels[..., 0, 0] = 255  # the upper left corner
    x = _batch(pixels, 60, torch.Generator().manual_seed(0))
    assert x.min() == -1 and (x[:, 0, 0, 0] + x[:, 0, 0, 3] == 0).all() and (x[:, 0, 3] == -1).all()
    assert 15 < (x[:, 0, 0, 3] == 1).sum() < 45


def test_both_networks_learn_by_the_same_optimiser(monkeypatch):
    given, real = [], torch.optim.Adam

    def heard(*parameters, **options):
        given.append(options)
        return real(*parameters, **options)

    monkeypatch.setattr(torch.optim, "Adam", heard)
    fit(small, PICTURES, Schedule(1, 4), np.random.default_rng(0), CPU)
    assert given == [{"lr": Schedule(1, 4).rate, "betas": (0.5, 0.999)}] * 2


def test_pictures_have_eight_bits_and_colours():
    x = draw(small().average.eval(), 7, 1.0, torch.Generator().manual_seed(0), CPU)
    assert x.shape == (7, 16, 16, 3) and x.dtype == np.uint8


@pytest.mark.parametrize(
    ("regime", "human", "size"),
    [("replace", 0, 40), ("keep(0.25)", 10, 40), ("augment", 40, 80), ("accumulate", 40, 120)],
)
def test_a_pool_has_its_human_share(regime, human, size):
    """Human pictures are white and generated ones black, so the white ones can be counted."""
    chosen = make_regime(regime)
    source = type("Source", (), {"items": Pictures(np.full((40, 2, 2, 1), 255, dtype=np.uint8)), "n": 40})
    sampled = [Pictures(np.zeros((chosen.needed(40), 2, 2, 1), dtype=np.uint8)) for _ in range(2)]
    history = type("History", (list,), {})(sampled)
    history.total, history.parts, history.sizes = Pictures.merge(sampled), sampled, [part.size for part in sampled]
    pool = chosen(source, history, np.random.default_rng(0))
    white = (pool.items.images[:, 0, 0, 0] == 255).sum()
    assert pool.items.size == size and white == human and pool.lineage.share(HUMAN) == pytest.approx(human / size)


def test_the_distance_between_two_of_three_points():
    assert pairwise_distance(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx(10 / 3)


def test_the_spectrum_of_a_wave_is_where_the_wave_is():
    across = np.cos(2 * np.pi * 5 * np.arange(32) / 32)
    wave = np.round(127.5 + 100 * across)[None, None, :, None].repeat(32, axis=1).astype(np.uint8)
    power = spectrum(wave)
    assert power.shape == (16,) and power.argmax() == 4  # entry 4 stands for five waves
    assert power[4] > 1000 * np.delete(power, 4).max()


def test_a_checkerboard_is_seen_and_a_flat_picture_is_not_nothing():
    rows, columns = np.indices((32, 32))
    board = (127 + 20 * (-1.0) ** (rows + columns)).astype(np.uint8)[None, ..., None]
    assert spectrum(board).argmax() == 15  # the corner belongs to the last ring
    flat = spectrum(np.full((3, 32, 32, 3), 90, dtype=np.uint8))
    assert (flat > 0).all() and np.isfinite(excess(flat, spectrum(board)))


def test_excess_counts_powers_of_ten_at_high_frequencies():
    human = np.ones(16)
    louder = np.concatenate([np.full(7, 1e6), np.full(9, 100.0)])  # eight waves and more are high
    assert excess(louder, human) == pytest.approx(2) and excess(human, human) == 0


@pytest.fixture(scope="module")
def gallery():
    return Gallery(datasets.few_faces(), datasets.few_faces().images)


def test_a_copy_of_a_human_picture_is_too_near_mirrored_or_not(gallery):
    faces = datasets.few_faces()
    copies = np.concatenate([faces.images[:5], faces.images[5:10, :, ::-1], faces.held_out[:5]])
    assert gallery.too_near(copies).all() and not gallery.too_near(255 - faces.images[:5]).any()
    seen = gallery.measures(copies[:10])
    assert seen["nearest_learned"] == pytest.approx(0, abs=1e-3) and seen["nearest_unseen"] > 0.05
    assert gallery.measures(faces.held_out)["spectral_excess"] == pytest.approx(0)
    black_and_white = np.stack([np.zeros_like(faces.images[0]), np.full_like(faces.images[0], 255)])
    assert gallery.measures(black_and_white)["pixel_distance"] == pytest.approx(1)
    assert len(gallery.learned) == len(gallery.unseen)


def test_copies_among_the_human_pictures_do_not_blunt_the_rule():
    faces = datasets.few_faces()
    twice = np.concatenate([faces.images, faces.images[:8]])
    assert Gallery(datasets.ImageSet("mine", twice, faces.held_out), twice).too_near(faces.images[:5]).all()


@pytest.mark.parametrize("copied", [True, False])
def test_the_average_of_copies_of_a_human_picture_is_left_out(copied, monkeypatch):
    faces = datasets.few_faces().images
    drawn = np.tile(faces[:1], (100, 1, 1, 1)) if copied else 255 - np.tile(faces, (2, 1, 1, 1))
    monkeypatch.setattr("model_collapse.gan.draw", lambda network, n, *_: drawn[:n])
    record = gan.run("replace-unbiased", "smoke", chains=1, generations=0, progress=False)
    kept, blank = record.samples("kept"), (record.samples("kept")["images"] == 0).all(axis=(2, 3, 4)).sum()
    assert (kept["average"] == 0).all() == copied and kept["left_out"].tolist() == [blank + copied]
    assert record.at("too_near", 0)["mean"] == (1 if copied else 0)


def test_human_pictures_are_held_against_others_than_themselves(gallery):
    """Else the nearest distance of every one would be 0, and none would ever be too near."""
    assert gallery.limit > 0.01


def test_a_picture_too_near_to_a_human_one_is_left_out_of_the_record(monkeypatch):
    monkeypatch.setattr(Gallery, "too_near", lambda self, images: np.arange(len(images)) % 4 == 0)
    record = gan.run("replace-unbiased", "smoke", chains=1, generations=1, progress=False)
    kept = record.samples("kept")
    assert kept["left_out"].tolist() == [3, 3] and kept["images"].shape == (2, 12, 24, 24, 1)
    assert (kept["average"] > 0).any()
    blank = (kept["images"] == 0).all(axis=(2, 3, 4))
    assert (blank == (np.arange(12) % 4 == 0)).all()


def test_a_record_keeps_what_lets_the_excess_be_computed_again():
    record = gan.run("replace-truncated", "smoke", progress=False)
    kept = record.samples("kept")
    assert kept["average"].shape == (3, 24, 24, 1) and kept["generation"].tolist() == [0, 1, 2]
    again = gan.FAMILY.replay(gan.FAMILY.recorded(record.manifest)[0], kept)["spectral_excess"][:, 0]
    assert again == pytest.approx(record.chains("spectral_excess")[0].to_numpy(), rel=1e-5)
    assert record.manifest["config"]["truncation"] == 0.7
    assert any("left out" in line for line in gan.report(record))


def test_nothing_is_kept_of_a_generation_that_was_not_measured():
    """Else a record would show the pictures of another one."""
    record = gan.run("replace-unbiased", "smoke", chains=1, steps=2, grid="ends", progress=False)
    assert record.samples("kept")["generation"].tolist() == record.generations == [0, 2]


class Stop(Exception):
    pass


def test_a_fit_goes_on_inside_a_generation(tmp_path, monkeypatch):
    monkeypatch.setattr("model_collapse.gan.training.EVERY", 3)

    def trained(**options) -> dict[str, torch.Tensor]:
        network = fit(small, PICTURES, Schedule(8, 8), np.random.default_rng(5), CPU, **options)
        return network.state_dict()

    def stop(step: int, loss: float) -> None:
        if step == 6:
            raise Stop

    whole, seen = trained(), []
    with pytest.raises(Stop):
        trained(checkpoint=tmp_path / "fit", on=stop)
    assert (tmp_path / "fit").exists()
    resumed = trained(checkpoint=tmp_path / "fit", on=lambda step, loss: seen.append(step))
    assert seen == [8] and not (tmp_path / "fit").exists()
    assert all(torch.equal(resumed[name], x) for name, x in whole.items())


def test_a_loss_that_is_no_number_names_the_steps():
    with pytest.raises(Diverged, match="steps 1 to 5: the loss is nan"):
        fit(small, PICTURES, Schedule(5, 8, rate=float("inf")), np.random.default_rng(0), CPU)


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    fit(small, PICTURES, Schedule(2, 8), np.random.default_rng(0), CPU)
    assert torch.equal(before, torch.random.get_rng_state())


def test_learning_moves_the_pictures_towards_the_human_ones():
    """White pictures only: a generator that learns draws ever lighter ones."""
    white = np.full((64, 16, 16, 3), 255, dtype=np.uint8)
    means = []
    for steps in (1, 20):
        network = fit(small, white, Schedule(steps, 16, rate=2e-3), np.random.default_rng(0), CPU)
        means.append(draw(network, 64, 1.0, torch.Generator().manual_seed(0), CPU).mean())
    assert means[1] > means[0] + 10


@pytest.mark.parametrize("study", list(gan.STUDIES))
def test_every_study_runs_and_resumes(study, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))

    def stop(phase: str, g: int) -> None:
        if (phase, g) == ("sample", 1):
            raise Stop

    scale = {"chains": 1, "steps": 3, "looked_at": 20, "progress": False}
    whole = gan.run(study, "smoke", **scale)
    with pytest.raises(Stop):
        gan.run(study, "smoke", save=tmp_path, checkpoint=0, on=stop, **scale)
    assert gan.run(study, "smoke", save=tmp_path, **scale).metrics.equals(whole.metrics)


def test_biased_and_unbiased_runs_share_generation_0(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    scale = {"chains": 1, "generations": 1, "steps": 3, "looked_at": 20, "progress": False, "save": tmp_path}
    for study in ("replace-unbiased", "replace-truncated", "augment-unbiased"):
        gan.run(study, "smoke", **scale)
    assert len(list((tmp_path / "cache" / "gan").iterdir())) == 1


def coloured(n: int) -> np.ndarray:
    """Pictures of 32 x 32 pixels: one shade each, with a little noise."""
    rng = np.random.default_rng(0)
    shades = rng.integers(40, 216, (n, 1, 1, 3)) + rng.integers(-20, 21, (n, 32, 32, 3))
    return shades.astype(np.uint8)


@pytest.fixture(scope="module")
def lens():
    everything = coloured(360)
    return Lens(datasets.ImageSet("mine", everything[:240], everything[240:]), CPU)


def test_through_the_lens_human_pictures_look_human(lens):
    seen = lens.measures(coloured(360)[:240])
    assert seen["rare_alive"] == 1 and seen["rare_mass"] == pytest.approx(1)
    assert seen["frechet"] == pytest.approx(lens.among_humans["frechet_human"])
    assert seen["precision"] == lens.among_humans["precision_human"] > 0.8
    same = lens.measures(coloured(360)[240:])
    assert same["frechet"] == pytest.approx(0, abs=1e-6) and same["precision"] == same["recall"] == 1


def test_the_lens_takes_five_neighbours(lens):
    seen, features = lens.measures(coloured(120)), lens.network.look(coloured(120))
    assert (seen["precision"], seen["recall"]) == precision_recall(lens.held_out, features, 5)
    assert (seen["precision"], seen["recall"]) != precision_recall(lens.held_out, features, 3)


def test_rare_pictures_are_those_of_the_smallest_clusters(lens):
    cells, shares = lens._cells
    common = coloured(360)[:240][cells.labels_ == shares.argmax()]
    seen = lens.measures(np.repeat(common, 3, axis=0))
    assert seen["rare_mass"] == 0 == seen["rare_alive"]


def test_through_the_lens_one_picture_over_and_over_is_seen_as_that(lens):
    seen = lens.measures(np.tile(coloured(360)[:1], (100, 1, 1, 1)))
    assert seen["feature_distance"] == pytest.approx(0, abs=1e-3) and seen["recall"] < 0.1
    assert seen["rare_alive"] <= 0.1 and seen["frechet"] > lens.among_humans["frechet_human"]


def test_a_poor_generation_0_stops_the_run_and_says_so(tmp_path):
    np.save(tmp_path / "mine.npy", coloured(72))
    heard = []
    with pytest.raises(ValueError, match=r"generation 0 has a recall of 0\.\d\d, short of 1 \(human pictures have"):
        gan.run(
            None, "smoke", data=tmp_path / "mine.npy", steps=2, least_recall=1.0, progress=False,
            on=lambda phase, g: heard.append(phase),
        )  # fmt: skip
    assert "sample" not in heard


@pytest.mark.parametrize(("variant", "truncation"), [("unbiased", 1.0), ("truncated", 0.7)])
def test_the_bias_is_in_all_that_is_drawn_but_not_in_the_bar(variant, truncation, tmp_path, monkeypatch):
    np.save(tmp_path / "mine.npy", coloured(72))
    drawn, shown = [], []
    real, real_render = gan.draw, gan.render

    def draws(model, n, truncation, *rest):
        drawn.append(truncation)
        return real(model, n, truncation, *rest)

    def renders(network, z, compute):
        shown.append(z)
        return real_render(network, z, compute)

    monkeypatch.setattr(gan, "draw", draws)
    monkeypatch.setattr(gan, "render", renders)
    scale = {"data": tmp_path / "mine.npy", "variant": variant, "chains": 1, "generations": 1, "steps": 2}
    scale |= {"looked_at": 30, "progress": False}
    with pytest.raises(ConfigError, match="short of 1"):
        gan.run(None, "smoke", least_recall=1.0, **scale)
    assert drawn == [1.0] and not shown
    drawn.clear()
    gan.run(None, "smoke", **scale)
    assert drawn == [truncation] * len(drawn) and len(drawn) >= 3
    z = torch.randn(12, shown[0].shape[1], generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(x, truncation * z) for x in shown)


def test_a_run_seen_through_encoders_resumes(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "mine.npy", coloured(72))

    def stop(phase: str, g: int) -> None:
        if (phase, g) == ("sample", 1):
            raise Stop

    scale = {"data": tmp_path / "mine.npy", "chains": 1, "steps": 2, "looked_at": 30, "progress": False}
    whole = gan.run(None, "smoke", **scale)
    assert {"frechet", "recall_second", "precision_human", "rare_mass"} <= set(whole.statistics["metric"])
    assert not (whole.chains("frechet") == whole.chains("frechet_second")).any(axis=None)
    with pytest.raises(Stop):
        gan.run(None, "smoke", save=tmp_path, checkpoint=0, on=stop, **scale)
    assert gan.run(None, "smoke", save=tmp_path, **scale).metrics.equals(whole.metrics)
    assert any("a network that has seen faces alone" in line for line in gan.report(whole))


def test_the_figures_are_drawn(tmp_path):
    np.save(tmp_path / "mine.npy", coloured(72))
    scale = {"data": tmp_path / "mine.npy", "chains": 2, "steps": 2, "looked_at": 30, "generations": 1}
    loops = {
        f"replace-{variant}": gan.run(None, "smoke", variant=variant, progress=False, **scale)
        for variant in ("unbiased", "truncated")
    }
    drawn = [figures.by_generation(loops["replace-unbiased"]), figures.averages(loops), figures.spectra(loops)]
    drawn += [figures.by_loop(loops), figures.by_loop(loops, again=True), figures.paths(loops)]
    drawn.append(figures.side_by_side(loops))
    assert [len(figure.axes) for figure in drawn] == [2, 2, 2, 6, 4, 1, 4]
    assert all(ax.get_xlabel() == "generation" for ax in drawn[4].axes)
    assert figures.first_and_last(loops, ["recall"])[0][0] == "replace, λ = 1"
    for figure in drawn:
        plt.close(figure)


def test_no_archived_picture_is_near_a_human_one():
    """Those that the chapter shows come from these records; blank ones were left out when they were drawn."""
    try:
        data = datasets.faces()
    except datasets.DataError:
        no_data("faces")
    gallery, shown = Gallery(data, data.images), []
    for folder in sorted((ROOT / "data/results/gan").glob("laptop-*")):
        record = load_record(folder)
        shown.append(record.samples("kept")["images"].reshape(-1, *data.images.shape[1:]))
        blank = (record.samples("kept")["average"] == 0).all(axis=(1, 2, 3))
        assert (blank == (record.chains("too_near")[0] > 0.5)).all()
    pictures = np.concatenate(shown)
    there = pictures[pictures.any(axis=(1, 2, 3))]
    assert len(there) >= 60 and not gallery.too_near(there).any()


def test_without_a_reserve_nothing_is_trained():
    heard = []
    with pytest.raises(ValueError, match="set some aside with a smaller --set n="):
        gan.run(
            None, "smoke", regime="fresh", n_real=8, n_synthetic=32, progress=False, on=lambda *what: heard.append(what)
        )
    assert not heard


def test_nothing_is_drawn_where_nothing_is_wanted():
    record = gan.run(None, "smoke", regime="keep", share=1.0, steps=2, chains=1, progress=False)
    assert record.generations == [0, 1, 2]


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "fit").write_bytes(b"no tensors")
    with pytest.raises(ArchiveError, match="fit is damaged: delete it, and it is made again"):
        fit(small, PICTURES, Schedule(2, 8), np.random.default_rng(0), CPU, checkpoint=tmp_path / "fit")


IMPOSSIBLE = {
    "images must be faces or few_faces, not 'cats'": {"images": "cats"},
    "steps must be at least 1, not 0": {"steps": 0},
    r"truncation must lie in \(0, 1\], not 0": {"truncation": 0.0},
    r"truncation must lie in \(0, 1\], not 1.5": {"truncation": 1.5},
    "80 pictures are fewer than a batch of 100: --set batch=80": {"batch": 100},
    "n = 200 is more than the 80 pictures of LFW, 100 faces": {"n": 200},
    "set some aside with a smaller --set n=": {"regime": "fresh", "n_real": 8, "n_synthetic": 32},
    "2 generations of 30 fresh pictures need 60 set aside, not 20": {
        "regime": "fresh",
        "n": 60,
        "n_real": 30,
        "n_synthetic": 30,
    },
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_impossible_settings_are_refused(message):
    with pytest.raises(ValueError, match=message):
        gan.run(None, "smoke", progress=False, **IMPOSSIBLE[message])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="device 'cuda' is not there: take --set device=cpu"):
        gan.run(None, "smoke", device="cuda", progress=False)


def test_own_pictures_of_all_kinds_are_learned_from_and_what_was_done_is_said(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "mine"
    folder.mkdir()
    for k in range(72):
        shape = {0: (40, 60, 3), 1: (20, 20, 3)}.get(k % 8, (36, 36))
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{k:02d}.png")
    record = gan.run(None, "smoke", data=folder, steps=2, chains=1, looked_at=20, progress=False)
    said = " ".join(gan.report(record))
    assert record.manifest["data"]["images"] == 60 and record.samples("kept")["images"].shape[2:] == (32, 32, 3)
    assert "54 grey pictures among coloured ones" in said
    assert "9 pictures of fewer than 32 x 32 pixels were enlarged" in said

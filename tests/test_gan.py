"""The GAN: losses, truncation, what is measured, the bar for generation 0, the rule about faces."""

import numpy as np
import pytest
import torch
from PIL import Image

from model_collapse import datasets, device, gan
from model_collapse.checkpoints import Diverged
from model_collapse.gan.items import Pictures
from model_collapse.gan.measure import Gallery, excess, pairwise_distance, spectrum
from model_collapse.gan.network import Discriminator, Generator, discriminator_loss, generator_loss
from model_collapse.gan.training import Schedule, Trio, draw, fit
from model_collapse.regimes import HUMAN, make_regime

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


def test_no_layer_of_the_discriminator_stretches_by_more_than_one():
    network = Discriminator().train()
    for _ in range(30):
        network(torch.randn(8, 3, 32, 32))
    for layer in (network.body[0], network.body[2], network.body[4], network.body[7]):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_the_average_follows_the_generator():
    networks = small()
    with torch.no_grad():
        for weight in networks.generator.parameters():
            weight.add_(1.0)
        networks.generator.body[0].running_mean.fill_(3.0)
    gaps = [(new - old).mean().item() for old, new in _pairs(networks)]
    networks.follow()
    assert gaps == pytest.approx([1.0] * len(gaps), abs=1e-5)
    assert [(new - old).mean().item() for old, new in _pairs(networks)] == pytest.approx([0.999] * len(gaps), abs=1e-5)
    assert (networks.average.body[0].running_mean == 3).all()


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


def test_excess_counts_powers_of_ten_at_high_frequencies():
    human = np.ones(16)
    louder = np.concatenate([np.full(7, 1e6), np.full(9, 100.0)])  # eight waves and more are high
    assert excess(louder, human) == pytest.approx(2) and excess(human, human) == 0


@pytest.fixture(scope="module")
def gallery():
    return Gallery(datasets.few_faces())


def test_a_copy_of_a_human_picture_is_too_near_mirrored_or_not(gallery):
    faces = datasets.few_faces()
    copies = np.concatenate([faces.images[:5], faces.images[5:10, :, ::-1]])
    assert gallery.too_near(copies).all() and gallery.distances(copies) == pytest.approx(np.zeros(10), abs=1e-3)
    assert not gallery.too_near(255 - faces.images[:5]).any()
    assert gallery.measures(copies)["too_near"] == 1
    assert gallery.measures(faces.held_out)["spectral_excess"] == pytest.approx(0)


def test_human_pictures_are_held_against_others_than_themselves(gallery):
    """Else the nearest distance of every one would be 0, and none would ever be too near."""
    assert gallery.limit > 0.01


def test_a_picture_too_near_to_a_human_one_is_left_out_of_the_record(monkeypatch):
    monkeypatch.setattr(Gallery, "too_near", lambda self, images: np.arange(len(images)) % 4 == 0)
    record = gan.run("replace-unbiased", "smoke", chains=1, generations=1, progress=False)
    kept = record.samples("kept")
    assert kept["left_out"].tolist() == [3, 3] and kept["images"].shape == (2, 12, 24, 24, 1)
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
    for steps in (1, 120):
        network = fit(small, white, Schedule(steps, 16, rate=2e-3), np.random.default_rng(0), CPU)
        network.train()  # the moving average is young; its own statistics of the batch show what it draws
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

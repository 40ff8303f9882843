"""The archived networks are those of their cards, and as good as the cards say."""

import json
import os

import numpy as np
import pytest
import torch
from conftest import no_data

from model_collapse import datasets, device, features
from model_collapse.archive import ArchiveError
from model_collapse.features.encoder import contrast, views

CARDS = sorted(features.features_root().glob("*.json"))
CLASSIFIERS = [path for path in CARDS if not path.stem.startswith("faces")]


@pytest.mark.parametrize("path", CLASSIFIERS, ids=lambda path: path.stem)
def test_an_archived_classifier_is_as_good_as_its_card_says(path):
    name, _, seed = path.stem.partition("-")
    network, card = features.load_classifier(name, int(seed))
    if name == "mnist" and not os.environ.get("MODEL_COLLAPSE_DATA"):
        no_data("MNIST")
    data = {"digits": datasets.digits, "mnist": datasets.mnist}[name]()
    assert card["data"] == data.card()
    right = features.accuracy(network, data.held_out, data.held_out_labels)
    assert right == pytest.approx(card["held_out_accuracy"], abs=1e-3) and right > {"digits": 0.95, "mnist": 0.98}[name]


@pytest.mark.parametrize("seed", [0, 1])
def test_an_archived_encoder_is_as_good_as_its_card_says(seed):
    network, card = features.load_encoder(seed)
    if not os.environ.get("MODEL_COLLAPSE_DATA"):
        no_data("faces")
    data = datasets.faces()
    assert card["data"] == data.card() and data.images.shape == (8000, 32, 32, 3) and len(data.held_out) == 2000
    found = features.retrieval(network, data.held_out)
    assert found == pytest.approx(card["held_out_retrieval"], abs=5e-3) and found > 0.5


def test_there_are_two_seeds_of_every_network_and_none_is_large():
    names = ("digits", "mnist", "faces")
    assert {path.stem for path in CARDS} == {f"{name}-{seed}" for name in names for seed in (0, 1)}
    assert all(path.with_suffix(".safetensors").stat().st_size < 2**20 for path in CARDS)


def test_the_loss_of_pairs_that_agree_and_of_pairs_that_do_not():
    """Two pairs of unit vectors: a partner at cosine 1 or 0 among two others at cosine 0, or 1."""
    a = torch.eye(2)
    assert contrast(a, a, 0.5).item() == pytest.approx(np.log(1 + 2 * np.exp(-2)), abs=1e-6)
    assert contrast(a, a.flip(0), 0.5).item() == pytest.approx(np.log(2 + np.exp(2)), abs=1e-6)


def test_views_are_parts_of_their_picture():
    """A picture of one shade stays one shade; a picture with a mark keeps its range, and no two views are the same."""
    x = torch.zeros(64, 3, 32, 32)
    x[:, :, 8:20, 4:12] = 1
    with device.seeded(np.random.default_rng(0)):
        flat, first, second = views(torch.full((64, 3, 32, 32), 0.3)), views(x), views(x)
    assert flat.flatten(1).std(dim=1).max().item() < 1e-5
    assert first.shape == x.shape and first.min() >= 0 and first.max() <= 1
    assert (first - second).abs().flatten(1).mean(dim=1).min() > 0.01


def test_an_encoder_takes_grey_pictures_for_coloured_ones():
    network = features.load_encoder()[0]
    grey = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1), dtype=np.uint8)
    assert network.look(grey) == pytest.approx(network.look(grey.repeat(3, axis=3)), abs=1e-5)
    assert network.look(grey).shape == (5, 128)


def test_training_an_encoder_is_a_function_of_the_seed():
    pictures = np.random.default_rng(0).integers(0, 256, (256, 32, 32, 3), dtype=np.uint8)
    data = datasets.ImageSet("some", pictures, pictures[:20])
    one, two, other = (features.train_encoder(data, seed, epochs=1)[0] for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.body[0].weight, other.body[0].weight)


def test_training_is_a_function_of_the_seed():
    data = datasets.digits()
    some = datasets.ImageSet("some", data.images[:600], data.held_out, data.labels[:600], data.held_out_labels)
    (one, right), (two, _), (other, _) = (features.train_classifier(some, seed, epochs=20) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight) and right > 0.3


def test_looking_gives_features_and_probabilities():
    network, _ = features.load_classifier("digits")
    seen, probabilities = network.look(torch.rand(7, 8, 8))
    assert seen.shape == (7, 64) and probabilities.shape == (7, 10)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(7))


def test_a_classifier_that_is_not_that_of_its_card_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="no classifier digits-0 at"):
        features.load_classifier("digits", root=tmp_path)
    for suffix in ("json", "safetensors"):
        (tmp_path / f"digits-0.{suffix}").write_bytes((features.features_root() / f"digits-0.{suffix}").read_bytes())
    assert features.load_classifier("digits", root=tmp_path)[1]["side"] == 8
    (tmp_path / "digits-0.safetensors").write_bytes((features.features_root() / "digits-1.safetensors").read_bytes())
    with pytest.raises(ArchiveError, match="classifier digits-0 at .* is not the one of its card"):
        features.load_classifier("digits", root=tmp_path)
    card = json.loads((tmp_path / "digits-0.json").read_text()) | {"side": 9}
    (tmp_path / "digits-0.json").write_text(json.dumps(card))
    with pytest.raises(ArchiveError, match="digits-0.json is damaged, edited"):
        features.load_classifier("digits", root=tmp_path)

"""The archived classifiers are those of their cards, and as good as the cards say."""

import json
import os

import numpy as np
import pytest
import torch
from conftest import missing

from model_collapse import datasets, features
from model_collapse.archive import ArchiveError

CARDS = sorted(features.features_root().glob("*.json"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_an_archived_classifier_is_as_good_as_its_card_says(path):
    name, _, seed = path.stem.partition("-")
    network, card = features.load_classifier(name, int(seed))
    if name == "mnist" and not os.environ.get("MODEL_COLLAPSE_DATA"):
        missing("no MNIST: set MODEL_COLLAPSE_DATA")
    data = {"digits": datasets.digits, "mnist": datasets.mnist}[name]()
    assert card["data"] == data.card()
    right = features.accuracy(network, data.held_out, data.held_out_labels)
    assert right == pytest.approx(card["held_out_accuracy"], abs=1e-3) and right > {"digits": 0.95, "mnist": 0.98}[name]


def test_there_are_two_seeds_for_every_set_of_digits():
    assert {path.stem for path in CARDS} == {f"{name}-{seed}" for name in ("digits", "mnist") for seed in (0, 1)}


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
    card = json.loads((tmp_path / "digits-0.json").read_text()) | {"sha256": "0" * 64}
    (tmp_path / "digits-0.json").write_text(json.dumps(card))
    with pytest.raises(ArchiveError, match="classifier digits-0 at .* is not the one of its card"):
        features.load_classifier("digits", root=tmp_path)

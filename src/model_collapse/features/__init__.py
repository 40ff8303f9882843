"""The fixed networks that image measures look through, each trained once and archived.

``data/features/`` holds, for each, its weights (safetensors, half precision) and a card: what it was trained on, for
how long, with which seed, how well it does on held-out images, and the SHA-256 of the weights. To make one again:

    python -m model_collapse.features mnist --seed 0
"""

from .archived import features_root, load_classifier, load_encoder
from .classifier import Classifier, accuracy, train_classifier
from .encoder import Encoder, retrieval, train_encoder

__all__ = [
    "Classifier",
    "Encoder",
    "accuracy",
    "features_root",
    "load_classifier",
    "load_encoder",
    "retrieval",
    "train_classifier",
    "train_encoder",
]

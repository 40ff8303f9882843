"""The figures of chapter *Theory*, one function a figure. Records in, a figure out."""

from .discrete import absorption, forgetting_words, words_by_regime
from .gaussian import (
    admissible,
    errors_by_regime,
    first_moments,
    fresh_starts,
    growing_samples,
    one_shot,
    released_recursion,
    ridges,
    sampling_bias,
    single_paths,
    vanishing_variance,
)
from .regression import fixed_share, labels_of_labels

__all__ = [
    "absorption",
    "admissible",
    "errors_by_regime",
    "first_moments",
    "fixed_share",
    "forgetting_words",
    "fresh_starts",
    "growing_samples",
    "labels_of_labels",
    "one_shot",
    "released_recursion",
    "ridges",
    "sampling_bias",
    "single_paths",
    "vanishing_variance",
    "words_by_regime",
]

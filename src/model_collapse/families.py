"""Every family that can be run, by name."""

from __future__ import annotations

import importlib

from .regimes import nearest
from .runs import ConfigError, Family

__all__ = ["FAMILIES", "family"]

FAMILIES = {
    "discrete": "model_collapse.theory.discrete",
    "facts": "model_collapse.affected.facts",
    "gan": "model_collapse.gan",
    "gaussian": "model_collapse.theory.gaussian",
    "gmm": "model_collapse.gmm",
    "llm": "model_collapse.llm",
    "patients": "model_collapse.affected.patients",
    "recommender": "model_collapse.affected.recommender",
    "regression": "model_collapse.theory.regression",
    "vae": "model_collapse.vae",
    "verifier": "model_collapse.theory.verifier",
}
"""Every family that can be run, and its room."""


def family(name: str) -> Family:
    """The family of that name; raises `ConfigError`, with the nearest known one, where there is none."""
    if name not in FAMILIES:
        raise ConfigError(f"no family {name!r}{nearest(name, FAMILIES)}")
    return importlib.import_module(FAMILIES[name]).FAMILY

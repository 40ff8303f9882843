"""From a family's settings to a record: profiles, studies, arms, blocks of chains, resume.

A *study* is an experiment (which regime, which variant, what is swept), a *profile* its scale. Both are data, so
the way from them to a record is the same for every family, and a chapter says
``gaussian.run("accumulate", profile="quick")``.
"""

from .family import Family
from .networks import Diverged, NetworkConfig, fitting
from .reports import changes
from .settings import BaseConfig, ConfigError, Study, arms, coarse

__all__ = [
    "BaseConfig",
    "ConfigError",
    "Diverged",
    "Family",
    "NetworkConfig",
    "Study",
    "arms",
    "changes",
    "coarse",
    "fitting",
]

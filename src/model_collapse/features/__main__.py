"""Train one fixed network and archive it."""

from __future__ import annotations

import argparse

from .archived import NAMES, features_root, make

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m model_collapse.features", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    card = make(given.name, given.seed, features_root())
    found = {key: value for key, value in card.items() if key.startswith("held_out_")}
    print(f"{given.name}-{given.seed}:", ", ".join(f"{key} {value:.4f}" for key, value in found.items()))

"""How long runs take and how much memory they need, by their size: four sizes along each axis, a process for each run.

python -m benchmarks.costs [family ...]     # writes data/results/costs.json
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from model_collapse import datasets, device
from model_collapse.archive.files import write_sealed
from model_collapse.costs import measured
from model_collapse.families import family
from model_collapse.llm.base import SHAPES, pretrain
from model_collapse.llm.tokens import train_tokenizer
from model_collapse.runs import Family

RESULTS = Path(__file__).parents[1] / "data" / "results" / "costs.json"
REPEATS = 3
WIDTHS = (64, 128, 256, 512)  # of a language model
ENDS = {"grid": "ends", "marks": ()}  # measure little: fits and samples are what grows

# By family: settings of the smallest run, and along each axis the four sizes of one of them. A loop of g generations
# has g + 1 fits, so that sizes of that axis are counted in fits.
RUNS = {
    "gaussian": (
        {"items": "points", "chains": 4000, "block": 4000, "n": 200, "d": 4, "generations": 9} | ENDS,
        {
            "generations": ("generations", (9, 19, 39, 79)),
            "chains": ("chains", (4000, 8000, 16_000, 32_000)),
            "samples": ("n", (200, 400, 800, 1600)),
            "model size": ("d", (4, 8, 16, 32)),
        },
    ),
    "gmm": (
        {"variant": "two", "chains": 100, "block": 100, "n": 4000, "components": 2, "generations": 19} | ENDS,
        {
            "generations": ("generations", (19, 39, 79, 159)),
            "chains": ("chains", (100, 200, 400, 800)),
            "samples": ("n", (4000, 8000, 16_000, 32_000)),
            "model size": ("components", (2, 4, 8, 16)),
        },
    ),
    "vae": (
        {"variant": "stored", "images": "digits", "chains": 1, "n": 180, "epochs": 30, "batch": 60, "generations": 1}
        | ENDS,
        {
            "generations": ("generations", (1, 3, 7, 15)),
            "chains": ("chains", (1, 2, 4, 8)),
            "samples": ("n", (180, 360, 720, 1440)),
        },
    ),
    "gan": (
        {"chains": 1, "n": 64, "steps": 40, "batch": 16, "looked_at": 50, "generations": 1} | ENDS,
        {
            "generations": ("generations", (1, 3, 7, 15)),
            "chains": ("chains", (1, 2, 4, 8)),
            "steps": ("steps", (40, 80, 160, 320)),
        },
    ),
    "llm": (
        {"text": "reference", "chains": 1, "n": 96, "start": "base", "epochs": 2, "batch": 16, "generations": 1} | ENDS,
        {
            "generations": ("generations", (1, 3, 7, 15)),
            "chains": ("chains", (1, 2, 4, 8)),
            "samples": ("n", (96, 192, 384, 768)),
            "model size": ("base", WIDTHS),
        },
    ),
}
COUNTED_TOGETHER = {"chains": "block"}  # of the families that take all chains as one array
TINY = {"chains": 1, "block": 1, "generations": 1}  # makes a process load what it needs before anything is measured


def main(chosen: list[str]) -> None:
    machine = device.machine(1)
    rows = _rows_of(machine)
    with tempfile.TemporaryDirectory() as place:
        for name in chosen or RUNS:
            smallest, axes = RUNS[name]
            rows = [row for row in rows if row["family"] != name]
            for axis, (setting, sizes) in axes.items():
                for size in sizes:
                    settings = smallest | {setting: size}
                    if "block" in settings and setting in COUNTED_TOGETHER:
                        settings[COUNTED_TOGETHER[setting]] = size
                    if name == "llm":
                        settings["base"] = str(_base(Path(place), size if setting == "base" else WIDTHS[0]))
                    counted = size + 1 if axis == "generations" else size
                    rows.append({"family": name, "axis": axis, "size": counted} | _child(name, settings))
                    print(rows[-1], flush=True)
            write_sealed(RESULTS, {"runs": rows, "repeats": REPEATS, "machine": machine})


def _rows_of(machine: dict) -> list[dict]:
    """What was measured before, where it was measured on this machine."""
    if not RESULTS.exists():
        return []
    rows, theirs = measured(RESULTS.parent)
    return rows.to_dict("records") if theirs == machine else []


def _base(place: Path, width: int) -> Path:
    """A base of the language model of that width, hardly trained: poor text costs as much as good text."""
    folder = place / f"width-{width}"
    if not folder.exists():
        shape = replace(SHAPES["smoke"], width=width, heads=width // 32, layers=2)
        text = datasets.language_reference().text[:60_000]
        pretrain(shape, [text], train_tokenizer([text], shape.vocabulary), folder)
    return folder


def _child(name: str, settings: dict) -> dict:
    words = [sys.executable, "-m", "benchmarks.costs", "--one", json.dumps([name, settings])]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def one(name: str, settings: dict) -> dict:
    """Seconds of a run, the least of `REPEATS`, and by how much the first one raised the memory of a process that had
    made a tiny run before."""
    chosen = family(name)
    chosen.run(None, "smoke", progress=False, seed=1, **(settings | TINY | {"n": RUNS[name][0]["n"]}))
    gc.collect()
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest memory so far
    seconds = [_seconds(chosen, seed=2, **settings)]
    raised = max(_memory("VmHWM") - before, 1) / 1024
    seconds += [_seconds(chosen, seed=3 + again, **settings) for again in range(REPEATS - 1)]
    return {"seconds": min(seconds), "megabytes": raised}


def _seconds(chosen: Family, **settings: object) -> float:
    return chosen.run(None, "smoke", progress=False, **settings).manifest["seconds"]["total"]


def _memory(name: str) -> int:
    """Kilobytes, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(*json.loads(sys.argv[2]))))
    else:
        main(sys.argv[1:])

"""Runs of every family, killed at moments drawn at random: what was done stays done, and the record is the same.

`make faults` does it many more times and prints the count by family.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from model_collapse.archive import load_record
from model_collapse.families import FAMILIES, family

KILLS = int(os.environ.get("MODEL_COLLAPSE_FAULTS", "1"))  # of each family
COMMAND = [sys.executable, "-m", "model_collapse.cli", "run"]
SETTINGS = {  # of those that take long: one chain, and for the GAN enough steps to have checkpoints within a fit
    "gan": ["--chains", "1", "--generations", "1", "--set", "steps=600"],
    "llm": ["--chains", "1"],
    "vae": ["--chains", "1"],
}
TOLD: dict[str, Counter] = {name: Counter() for name in FAMILIES}


@pytest.fixture(scope="module", autouse=True)
def told():
    yield
    for name, count in TOLD.items():
        if count:
            print(
                f"\n{name:12} {count['tried']:3} killed, {count['survived']:3} survived, {count['lost']} lost", end=""
            )
    print(f"\n{'all':12} {sum(count['tried'] for count in TOLD.values()):3} killed", flush=True)


class Run:
    """One run in folders of its own, begun as often as it takes."""

    def __init__(self, name: str, home: Path):
        self.name, self.home, self.attempts = name, home, 0
        self.study = next(iter(family(name).studies))
        home.mkdir()

    def begin(self) -> subprocess.Popen:
        self.attempts += 1
        words = [*COMMAND, self.name, "--study", self.study, "--profile", "smoke", "--name", "killed"]
        words += ["--checkpoint", "0", "--trace", str(self.trace)]
        words += SETTINGS.get(self.name, [])
        place = {f"MODEL_COLLAPSE_{kind.upper()}": str(self.home / kind) for kind in ("cache", "results")}
        return subprocess.Popen(words, env=os.environ | place, stdout=subprocess.DEVNULL)

    @property
    def trace(self) -> Path:
        return self.home / f"{self.attempts}.trace"

    def phases(self) -> list[tuple[float, str]]:
        """(seconds, phase) for every whole line of the last attempt's trace."""
        text = self.trace.read_text() if self.trace.exists() else ""
        lines = (line.split() for line in text.splitlines(keepends=True) if line.endswith("\n"))
        return [(float(seconds), phase) for seconds, phase, _ in lines]

    def fits(self) -> int:
        """How many fits were begun in all attempts together."""
        return sum(path.read_text().count(" fit ") for path in self.home.glob("*.trace"))

    def record(self):
        return load_record(self.home / "results" / self.name / "killed")

    def samples(self) -> dict[str, bytes]:
        """What the record keeps to look at, by file and name."""
        kept = {path.stem for path in (self.record().path / "samples").glob("*.npz")}
        return {f"{stem}/{name}": x.tobytes() for stem in kept for name, x in self.record().samples(stem).items()}


def killed(process: subprocess.Popen, run: Run, wait: float) -> bool:
    """Kill a process `wait` seconds after its first phase began, or while it starts; whether it was still there.

    A `wait` below 0 counts from when the process began.
    """
    if wait < 0:
        time.sleep(-wait)
        process.kill()
    while process.poll() is None and not run.phases():
        time.sleep(0.002)
    if process.poll() is None:
        time.sleep(max(0, run.phases()[0][0] + wait - time.perf_counter()))  # one clock for all processes of a machine
        process.kill()
    ended = process.wait()
    assert ended in (0, -signal.SIGKILL)
    return ended != 0


def moment(draw: random.Random, whole: float) -> float:
    """When to kill: one time in five while the process starts, else anywhere in the run, its writing included."""
    return -draw.uniform(0, 3) if draw.random() < 0.2 else draw.uniform(0, whole)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
@pytest.mark.timeout(600 * KILLS)
@pytest.mark.parametrize("name", FAMILIES)
def test_kills_cost_at_most_the_step_in_hand(name, tmp_path):
    """Each is redone at most once for each kill, and every number is that of the run that nobody killed."""
    draw, told = random.Random(f"{name} {KILLS}"), TOLD[name]
    whole = Run(name, tmp_path / "whole")
    assert whole.begin().wait() == 0
    times = [seconds for seconds, _ in whole.phases()]
    while told["tried"] < KILLS:
        run = Run(name, tmp_path / f"run{told['runs']}")
        told["runs"] += 1
        kills = 0
        while told["tried"] + kills < KILLS and killed(run.begin(), run, moment(draw, times[-1] - times[0])):
            kills += 1
        told["tried"] += kills
        assert run.begin().wait() == 0
        same = run.record().metrics.equals(whole.record().metrics)
        same &= run.record().statistics.equals(whole.record().statistics)
        same &= run.samples() == whole.samples()
        told["survived" if same else "lost"] += kills
        assert same, f"{name}: another record after {kills} kills"
        assert run.fits() <= whole.fits() + kills
    assert told["lost"] == 0 and told["survived"] == told["tried"] >= KILLS

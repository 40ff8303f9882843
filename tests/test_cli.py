"""The command line as a person uses it: real processes, clear lines, and ten kills that lose nothing."""

import bisect
import gzip
import io
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_collapse.archive import load_record
from model_collapse.cli import main
from model_collapse.families import FAMILIES, family

COMMAND = [sys.executable, "-m", "model_collapse.cli"]


@pytest.fixture
def homes(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODEL_COLLAPSE_RESULTS", str(tmp_path / "results"))
    return tmp_path


def say(capsys, *words) -> tuple[int, str, str]:
    """Run the command line in this process: exit status, standard output, standard error."""
    old = sys.argv
    sys.argv = ["model-collapse", *words]
    try:
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code
    finally:
        sys.argv = old
    out, err = capsys.readouterr()
    if isinstance(status, str):
        err, status = err + status, 1
    return status or 0, out, err


def test_one_chain_is_one(homes, capsys):
    _, out, _ = say(capsys, "run", "gaussian", "--profile", "smoke", "--chains", "1", "--set", "generations=2")
    assert ": 1 chain to generation 2" in out


def test_a_run_leaves_a_record_and_a_line(homes, capsys):
    command = ["run", "gaussian", "--profile", "smoke", "--regime", "keep(0.25)", "--chains", "30", "--set", "n=40"]
    status, out, _ = say(capsys, *command)
    name = re.match(r"gaussian/(smoke-keep-theorem-[0-9a-f]{8}): 30 chains to generation 12", out)
    assert status == 0 and name
    manifest = load_record(homes / "results/gaussian" / name[1]).manifest
    assert manifest["config"]["share"] == 0.25 and manifest["config"]["n"] == 40
    assert "T2" in manifest["rules"]
    status, out, _ = say(capsys, *command[:-1], "n=50")  # another run, which does not stand in the first one's way
    assert status == 0 and name[1] not in out
    status, out, _ = say(capsys, "run", "gaussian", "--profile", "smoke")
    assert status == 0 and "gaussian/smoke-replace-theorem: " in out


def test_a_name_tells_runs_apart(tmp_path):
    """Settings, seeds and data have a mark, and nothing without a study passes for one."""
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(size=(300, 2)))
    gaussian, gmm = family("gaussian"), family("gmm")
    plans = [
        gaussian.plan("replace-code", "smoke"),
        gaussian.plan(None, "smoke", variant="code"),
        gaussian.plan(None, "smoke"),
        gaussian.plan(None, "smoke", seed=1),
        gaussian.plan(None, "smoke", regime="keep(0.2)"),
        gaussian.plan(None, "smoke", regime="keep(0.3)"),
        gmm.plan(None, "smoke"),
        gmm.plan(None, "smoke", data=tmp_path / "mine.npy"),
        gmm.plan("blob-replace", "smoke"),
        gmm.plan("blob-replace", "smoke", data=tmp_path / "mine.npy"),
    ]
    assert len({plan.name for plan in plans}) == len(plans)
    assert (
        gaussian.plan(None, "smoke", regime="keep(0.2)").config
        == gaussian.plan(None, "smoke", regime="keep", share=0.2).config
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gausian"], "no family 'gausian'; did you mean 'gaussian'?"),
        (["gaussian", "--profile", "qick"], "no profile 'qick'; did you mean 'quick'?"),
        (["gaussian", "--regime", "acumulate"], "no regime 'acumulate'; did you mean 'accumulate'?"),
        (["gaussian", "--variant", "therem"], "no variant 'therem'; did you mean 'theorem'?"),
        (["gaussian", "--study", "superliner"], "no study 'superliner'; did you mean 'superlinear'?"),
        (["gaussian", "--regime", "keep(1.5)"], "a share must lie in [0, 1], not 1.5"),
        (["gaussian", "--set", "share=-1"], "share must lie in [0, 1], not -1"),
        (["gaussian", "--set", "dd=3"], "no setting 'dd'; did you mean 'd'?"),
        (["gaussian", "--set", "d=three"], "setting d: 'three' is not a whole number"),
        (["gaussian", "--set", "d"], "write NAME=VALUE"),
        (["gaussian", "--chains", "0"], "chains must be at least 1, not 0"),
        (["gaussian", "--generations", "-1"], "generations must not be negative, not -1"),
        (["gaussian", "--data", "x.txt"], "family 'gaussian', variant 'theorem', takes no data"),
        (["gaussian", "--seed", "-1"], "seed must not be negative, not -1"),
        (["gaussian", "--regime", "fresh"], "regime 'fresh' needs its numbers"),
        (["gaussian", "--regime", "fresh(nan,3)"], "numbers of items must be whole"),
        (["gaussian", "--regime", "fresh(inf,3)"], "numbers of items must be whole"),
        (["gaussian", "--set", "n=1e3"], "setting n: '1e3' is not a whole number"),
        (["gaussian", "--set", "marks=-5"], "marks are generations and must not be negative"),
        (["regression", "--regime", "fresh(2,2)"], "every pool needs d + 2 = 12 points, not 4"),
        (["discrete", "--data", "nowhere.txt"], "nowhere.txt: No such file or directory"),
        (["gmm", "--data", "nowhere.csv"], "nowhere.csv: No such file or directory"),
        (["gmm", "--variant", "own"], "variant 'own' needs your points: --data points.csv (or .npy, .npz)"),
        (["gmm", "--set", "components=101"], "n must be at least 10 per component, 1010 in all, not 1000"),
        (["vae", "--data", "nowhere.npz"], "nowhere.npz: No such file or directory"),
        (["vae", "--profile", "smoke", "--set", "rare=0.6"], "rare must lie in [0, 0.5), not 0.6"),
        (["gaussian", "--shard", "3/2"], "--shard '3/2': write K/N, such as 1/4, with K from 1 to N"),
        (["gaussian", "--shard", "half"], "--shard 'half': write K/N"),
        (
            ["discrete", "--profile", "smoke", "--regime", "fresh(10,10)"],
            "set a share of the text aside with --set reserve=0.5",
        ),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(homes, capsys, words, message):
    status, out, err = say(capsys, "run", *words)
    assert status == 1 and message in err
    assert err.strip().count("\n") == 0 and "Traceback" not in err
    assert not list(homes.glob("results/*/*"))


@pytest.mark.skipif(os.name == "nt", reason="permissions differ on Windows")
def test_a_read_only_results_folder(homes, capsys, monkeypatch):
    """A file where a folder should be stops root too, whom permissions do not."""
    (homes / "results").write_text("in the way")
    status, _, err = say(capsys, "run", "gaussian", "--profile", "smoke")
    assert status == 1 and "cannot write" in err and "what was saved before is untouched" in err
    (homes / "results").unlink()
    assert say(capsys, "run", "gaussian", "--profile", "smoke")[0] == 0


def test_a_persons_own_text_answers_which_words_survive(homes, capsys):
    (homes / "mine.txt").write_text("the cat and the dog and the end of it " * 30, encoding="utf-8")
    words = ["run", "discrete", "--profile", "smoke", "--regime", "replace", "--data", str(homes / "mine.txt")]
    status, out, _ = say(capsys, *words)
    assert status == 0 and "words still known at generation 3" in out
    assert "already there, nothing to do" in say(capsys, *words)[1]


def png(x: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(x).save(buffer, "PNG")
    return buffer.getvalue()


def write_images(folder: Path, kind: str, x: np.ndarray) -> Path:
    """Images as a person may have them: a folder of pictures, a zip of them, an npz, a gzipped idx file."""
    path = folder / kind
    if kind == "folder":
        path.mkdir()
        for k, image in enumerate(x):
            (path / f"{k}.png").write_bytes(png(image))
    elif kind == "pictures.zip":
        with zipfile.ZipFile(path, "w") as archive:
            for k, image in enumerate(x):
                archive.writestr(f"{k}.png", png(image))
    elif kind == "arrays.npz":
        np.savez(path, images=x, weather=np.ones(3))
    else:
        path.write_bytes(gzip.compress(struct.pack(">IIII", 0x803, *x.shape) + x.tobytes()))
    return path


@pytest.mark.parametrize("kind", ["folder", "pictures.zip", "arrays.npz", "train-images-idx3-ubyte.gz"])
def test_a_persons_own_images_of_every_kind(homes, capsys, kind):
    path = write_images(homes, kind, np.random.default_rng(0).integers(0, 256, (72, 8, 8), dtype=np.uint8))
    words = ["run", "vae", "--profile", "quick", "--generations", "1", "--set", "epochs=1", "--set", "most=30"]
    status, out, err = say(capsys, *words, "--data", str(path))
    assert status == 0, err
    assert "latent sd: " in out and "left out, because no archived classifier knows these images" in out
    assert "learned from 30 of 60 images, the limit of profile quick: --set most=0" in out
    assert ("ignored in arrays.npz: weather" in out) == (kind == "arrays.npz")
    (manifest,) = homes.glob("results/vae/*/manifest.json")
    assert json.loads(manifest.read_text())["data"]["name"] == kind and str(homes) not in manifest.read_text()


def test_all_records_as_one_table(homes, capsys):
    status, _, err = say(capsys, "export", str(homes / "all.csv"))
    assert status == 1 and err.strip() == "model-collapse: no records to export"
    say(capsys, "run", "gaussian", "--profile", "smoke")
    status, out, _ = say(capsys, "export", str(homes / "all.csv"))
    rows = len((homes / "all.csv").read_text().splitlines()) - 1
    assert status == 0 and out == f"{rows:,} rows of 1 records in all.csv\n" and rows > 10


def test_listing_studies(capsys):
    status, out, _ = say(capsys, "run", "gaussian", "--list")
    assert status == 0 and all(name in out for name in family("gaussian").studies)


def test_the_scorecard_as_text_and_as_json(homes, capsys):
    assert "no folder of results at" in say(capsys, "claims")[2]
    (homes / "results").mkdir()
    status, out, _ = say(capsys, "claims", "--json")
    rows = json.loads(out)
    assert status == 0 and len({row["id"] for row in rows}) == len(rows)
    keys = {
        "id",
        "family",
        "statement",
        "source",
        "paper",
        "measured",
        "interval",
        "chains",
        "profile",
        "verdict",
        "reason",
    }
    assert all(keys <= set(row) for row in rows)
    assert {row["verdict"] for row in rows if row["id"] == "T1"} == {"not yet tested"}
    assert "Scorecard" in say(capsys, "claims")[1]


def test_every_family_has_every_profile_and_every_study_can_be_configured():
    for name in FAMILIES:
        chosen = family(name)
        assert chosen.name == name and {"smoke", "quick", "paper"} <= set(chosen.profiles)
        for study in chosen.studies:
            for profile in chosen.profiles:
                chosen.configure(study, profile)


def test_ctrl_c_says_how_to_go_on_and_does(homes):
    words = [
        *COMMAND,
        "run",
        "gaussian",
        "--profile",
        "smoke",
        "--set",
        "d=40",
        "--set",
        "items=points",
        "--generations",
        "400",
        "--checkpoint",
        "0",
    ]
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - a background shell hands down "ignore"
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heed)
    wait_for(lambda: list(homes.glob("cache/runs/gaussian/*/*/history-*.npz")))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; run the same command again to go on from the last checkpoint" in err and "Traceback" not in err
    assert not list(homes.glob("results/*/*"))


def test_parts_at_the_same_time_add_up(homes):
    """Four processes on one run; a fifth call merges what they left."""
    words = [*COMMAND, "run", "gmm", "--study", "two-replace", "--profile", "smoke", "--chains", "12"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    parts = [subprocess.Popen([*words, "--shard", f"{k}/4"], **pipes) for k in (1, 2, 3, 4)]
    assert [(part.communicate()[1], part.returncode) for part in parts] == [("", 0)] * 4
    assert len(list(homes.glob("cache/runs/gmm/*/*/history-4-4.npz"))) == 4 and not list(homes.glob("results/gmm/*"))
    assert subprocess.run(words, stdout=subprocess.DEVNULL).returncode == 0
    (record,) = homes.glob("results/gmm/*")
    whole = family("gmm").run("two-replace", "smoke", chains=12, progress=False)
    assert load_record(record).statistics["mean"].equals(whole.statistics["mean"])


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


KILLS, MUST = 10, {"fit": 3, "sample": 1, "write": 2}
RUN = ["run", "gaussian", "--profile", "smoke", "--chains", "20", "--set", "block=20", "--set", "items=points"]
RUN += ["--set", "d=20", "--set", "n=4000", "--generations", "8", "--checkpoint", "0"]


def phases(trace: Path) -> list[tuple[float, str]]:
    """(seconds, "phase generation") for every line that a run's trace holds so far."""
    lines = trace.read_text().splitlines() if trace.exists() else []
    return [(float(seconds), name) for seconds, name in (line.split(" ", 1) for line in lines)]


def drawn_moments(timetable: list[tuple[float, str]], draw: random.Random) -> list[tuple[int, float]]:
    """Ten moments, uniform over the run, as (number of the phase, seconds into it); drawn again until `MUST` holds."""
    times = [seconds for seconds, _ in timetable]
    while True:
        moments = sorted(draw.uniform(times[0], times[-1]) for _ in range(KILLS))
        hit = [bisect.bisect_right(times, moment) - 1 for moment in moments]
        if satisfied([timetable[k][1].split()[0] for k in hit]):
            return [(k, moment - times[k]) for k, moment in zip(hit, moments, strict=True)]


def satisfied(killed: list[str]) -> bool:
    return all(killed.count(phase) >= least for phase, least in MUST.items())


@pytest.mark.timeout(900)
def test_ten_kills_lose_nothing(tmp_path):
    """The uninterrupted run is the timetable: a drawn moment is a phase of it and how far into that phase.

    Each process is killed when it is that far; the next one starts from what the killed one left. On a machine whose
    speed wavers a kill may land in the next phase: what a phase of `MUST` then lacks is killed as that phase begins,
    in a second run.
    """

    def start(home: str, trace: Path):
        place = {f"MODEL_COLLAPSE_{name.upper()}": str(tmp_path / home / name) for name in ("cache", "results")}
        return subprocess.Popen(
            [*COMMAND, *RUN, "--trace", str(trace)], env=os.environ | place, stdout=subprocess.DEVNULL
        )

    def record(home: str):
        (folder,) = (tmp_path / home / "results/gaussian").glob("smoke-replace-theorem-*")
        return load_record(folder)

    def kill(home: str, number: int, target: int, wait: float) -> str:
        """Start a process, kill it `wait` seconds into that phase of the timetable; the phase it was killed in."""
        trace = tmp_path / f"{home}-{number}.trace"
        there = {name for _, name in timetable[target:]}  # a kill within the commit itself may leave the target behind
        process = start(home, trace)
        wait_for(lambda: process.poll() is not None or any(name in there for _, name in phases(trace)))
        reached = next((seconds for seconds, name in phases(trace) if name in there), 0.0)
        time.sleep(max(0, reached + wait - time.perf_counter()))  # one clock for all processes of a machine
        process.kill()
        return phases(trace)[-1][1].split()[0] if process.wait() == -signal.SIGKILL else "too late"

    def ends_as_the_whole(home: str) -> None:
        assert start(home, tmp_path / f"{home}-last.trace").wait() == 0
        assert record(home).metrics.equals(record("whole").metrics)
        assert record(home).statistics.equals(record("whole").statistics)

    assert start("whole", tmp_path / "whole.trace").wait() == 0
    timetable = phases(tmp_path / "whole.trace")
    moments = drawn_moments(timetable, random.Random(20240724))
    killed = [kill("drawn", number, *moment) for number, moment in enumerate(moments)]
    ends_as_the_whole("drawn")
    for number, (_, name) in enumerate(timetable):
        lacking = killed.count(name.split()[0]) < MUST.get(name.split()[0], 0)
        if (lacking or len(killed) - killed.count("too late") < KILLS) and not name.endswith("-1"):
            killed.append(kill("aimed", number, number, 0.0))
    if (tmp_path / "aimed").exists():
        ends_as_the_whole("aimed")
    print("killed in:", ", ".join(killed))
    assert satisfied(killed) and len(killed) - killed.count("too late") >= KILLS

"""Records and resume states: whole or refused, never half-used."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from model_collapse import archive
from model_collapse.archive import ArchiveError, BlockState, History, load_record
from model_collapse.archive.exporting import every_summary, write_summaries
from model_collapse.planning import archived, staleness
from model_collapse.runs.blocks import Block, merge_blocks
from model_collapse.theory import gaussian
from model_collapse.theory.normal import Points, restore


@pytest.fixture
def homes(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def make(homes, **changes):
    return gaussian.run("replace", "smoke", save=homes / "results", checkpoint=0, progress=False, **changes)


class Stop(Exception):
    pass


def stop_at(phase: str, g: int):
    def on(now: str, generation: int) -> None:
        if (now, generation) == (phase, g):
            raise Stop

    return on


def test_the_grid_has_every_early_generation_and_at_most_120_and_what_was_asked_for():
    for last in (0, 3, 20, 21, 150, 2050, 10**6):
        points = archive.grid(last, (7, 999, 10**9))
        assert points[0] == 0 and points[-1] == last and (np.diff(points) > 0).all()
        assert set(range(min(20, last) + 1)) <= set(points)
        assert len(points) <= 122
        assert (999 in points) == (last >= 999)


def test_a_record_comes_back_as_it_was_written(homes):
    written = make(homes)
    read = load_record(str(written.path))
    assert read.manifest == json.loads(json.dumps(written.manifest))
    assert read.at("variance", 12)["mean"] == pytest.approx(written.at("variance", 12)["mean"], rel=1e-6)
    assert read.chains("variance").shape == (13, 40)
    assert set(read.metrics["metric"]) == {"mean", "variance"} < set(read.statistics["metric"])
    assert read.arms == [""] and read.generations == list(range(13))


def test_a_manifest_says_what_ran_and_nothing_of_who_or_where(homes):
    record = make(homes, rules={"T2": "abc"})
    text = json.dumps(record.manifest)
    for key in (
        "config",
        "profile",
        "variant",
        "regime",
        "seed",
        "chains",
        "block",
        "data",
        "machine",
        "seconds",
        "source",
        "rules",
        "files",
    ):
        assert key in record.manifest
    assert record.manifest["rules"] == {"T2": "abc"}
    assert set(record.manifest["machine"]) >= {"processor", "instructions", "threads", "packages", "python"}
    assert str(homes) not in text and os.uname().nodename not in text


@pytest.mark.parametrize("phase", ["regime", "fit", "sample", "measure", "write"])
@pytest.mark.parametrize("regime", ["replace", "accumulate", "accumulate_subsample", "keep"])
def test_a_stopped_run_goes_on_and_equals_an_uninterrupted_one(homes, phase, regime):
    whole = gaussian.run(None, "smoke", regime=regime, progress=False)
    with pytest.raises(Stop):
        gaussian.run(
            None, "smoke", regime=regime, save=homes / "results", checkpoint=0, on=stop_at(phase, 7), progress=False
        )
    assert not list((homes / "results").glob("*/*/manifest.json"))
    resumed = gaussian.run(None, "smoke", regime=regime, save=homes / "results", checkpoint=0, progress=False)
    assert resumed.metrics.equals(whole.metrics)
    assert resumed.statistics.equals(whole.statistics)


def test_a_kill_within_the_first_checkpoint_does_not_bar_a_later_resume(tmp_path):
    """The files of a checkpoint that was never committed must not stand in the way of one at another generation."""

    def history_to(g: int) -> History:
        history = History("all")
        for k in range(g + 1):
            history.append(Points(np.full((1, 2, 1), float(k))))
        return history

    identity, metrics = {"run": "x"}, {"m": np.zeros((8, 1))}
    archive.files.write_arrays(tmp_path / "state" / "metrics-0-7.npz", metrics)
    archive.files.write_arrays(tmp_path / "state" / "parts-0-7.npz", {"0/x": np.zeros((1, 2, 1))})
    state = BlockState(tmp_path / "state", identity)
    assert state.load(History("all"), restore) == {}
    state.save(history_to(9), {"m": np.ones((10, 1))})
    found = History("all")
    assert BlockState(tmp_path / "state", identity).load(found, restore)["m"].shape == (10, 1)
    assert len(found) == len(found.parts) == 10


def test_a_block_at_its_end_is_its_metrics(tmp_path):
    history, metrics = History("all"), {"m": np.arange(4.0).reshape(4, 1)}
    for k in range(4):
        history.append(Points(np.full((1, 2, 1), float(k))))
    state = BlockState(tmp_path / "state", {"run": "x"})
    state.save(history, metrics)
    (state.folder / "fit-0003.state").write_bytes(b"a network")
    state.finish(history)
    assert {path.name for path in state.folder.iterdir()} == {"identity.json", "metrics-0-3.npz", "history-3-3.npz"}
    found = History("all")
    assert np.array_equal(BlockState(tmp_path / "state", {"run": "x"}).load(found, restore)["m"], metrics["m"])
    assert found.sizes == history.sizes


@pytest.mark.parametrize("rank", ["0", "1"])
def test_what_was_left_lying_is_swept_by_the_process_that_leads_alone(tmp_path, monkeypatch, rank):
    """One of several processes may be slow to begin: what it finds may be what the first is just writing."""
    monkeypatch.setenv("RANK", rank)
    (tmp_path / ".identity.json.0a1b2c3d").write_bytes(b"half")
    archive.files.write_arrays(tmp_path / "metrics-0-0.npz", {"m": np.zeros((1, 1))})
    assert BlockState(tmp_path, {"run": "x"}).load(History("all"), restore) == {}
    left = {path.name for path in tmp_path.iterdir()} - {"identity.json"}
    assert left == (set() if rank == "0" else {".identity.json.0a1b2c3d", "metrics-0-0.npz"})


def test_only_what_was_not_saved_is_computed_again(homes):
    with pytest.raises(Stop):
        make(homes, on=stop_at("fit", 7))
    heard = []
    make(homes, on=lambda phase, g: heard.append((phase, g)))
    assert [g for phase, g in heard if phase == "fit"] == [*range(7, 13), *range(13)]  # block 0 from 7, block 1 whole


def test_rules_are_those_of_the_start(homes):
    with pytest.raises(Stop):
        make(homes, rules={"T2": "before"}, on=stop_at("fit", 3))
    assert make(homes, rules={"T2": "after"}).manifest["rules"] == {"T2": "before"}


def test_a_finished_run_is_not_run_again(homes):
    first = make(homes)
    heard = []
    again = make(homes, on=lambda *phase: heard.append(phase))
    assert heard == [] and again.manifest == json.loads(json.dumps(first.manifest))


def test_a_record_of_another_configuration_is_not_mixed_with(homes):
    make(homes)
    with pytest.raises(ArchiveError, match="already holds a record of another configuration; refusing to mix"):
        make(homes, seed=1)
    make(homes, seed=1, name="mine")


def test_a_folder_that_is_no_record_is_never_replaced(homes):
    mine = homes / "results" / "gaussian" / "smoke-replace"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(ArchiveError, match="smoke-replace is already there; refusing to replace it"):
        make(homes)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_taken(homes):
    """A workflow makes the folders of its outputs before it runs."""
    (homes / "results" / "gaussian" / "smoke-replace").mkdir(parents=True)
    assert (make(homes).path / "manifest.json").exists()


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1), ()])
def test_parts_in_any_order_add_up_to_the_whole(homes, order):
    """Parts that have not run are run by the call that merges; a part alone leaves no record."""
    whole = gaussian.run("bias", "smoke", progress=False)
    for part in order:
        options = {"save": homes / "results", "shard": (part, 3), "progress": False}
        assert gaussian.run("bias", "smoke", **options) is None
        assert not list(homes.glob("results/*/*/manifest.json"))
    begun = {path.parent.name for path in homes.glob("cache/runs/gaussian/*/*/history-*.npz")}
    assert len(begun) == {3: 4, 2: 3, 0: 0}[len(order)]
    merged = gaussian.run("bias", "smoke", save=homes / "results", progress=False)
    assert merged.metrics.equals(whole.metrics) and merged.statistics.equals(whole.statistics)


@pytest.mark.parametrize("name", [".", "..", "a/b", "", "/tmp/x"])
def test_a_name_that_is_a_path_is_refused(homes, name):
    make(homes)
    with pytest.raises(ValueError, match="cannot name a run") if name else contextlib.nullcontext():
        make(homes, name=name)
    assert (homes / "results/gaussian/smoke-replace/manifest.json").exists()


def test_a_study_with_changed_settings_does_not_take_the_studys_name(homes):
    changed = make(homes, n=50)
    assert re.fullmatch(r"smoke-replace-[0-9a-f]{8}", changed.manifest["run"])
    assert make(homes).manifest["run"] == "smoke-replace"


def test_a_finished_run_leaves_no_resume_state_and_no_scraps(homes):
    make(homes)
    assert not list((homes / "cache").rglob("*.npz"))
    assert [path.name for path in (homes / "results/gaussian").iterdir()] == ["smoke-replace"]


def test_an_unwritable_results_folder_is_found_before_the_run(homes):
    (homes / "results").write_text("in the way")
    heard = []
    with pytest.raises(ArchiveError, match="cannot write"):
        make(homes, on=lambda *phase: heard.append(phase))
    assert heard == []


def test_a_metric_that_is_not_finite_makes_no_record():
    config, swept = gaussian.FAMILY.configure(None, "smoke", generations=2, chains=2, block=2)
    block = Block("", 0, {"a": np.array([[0.0, 1], [1, np.nan], [0, 0]]), "_seconds": np.ones((1, 1))})
    with pytest.raises(ValueError, match="metric 'a' is not finite: no record is made"):
        merge_blocks(config, swept, [block], ())


def test_archived_records_are_of_todays_studies():
    for folder in archived(Path(__file__).parents[1] / "data" / "results"):
        assert not staleness(load_record(folder)), folder


def test_blocks_merge_to_the_same_record_in_any_order():
    rng = np.random.default_rng(0)
    config, swept = gaussian.FAMILY.configure(None, "smoke", generations=2, chains=6, block=2)
    blocks = [Block("", first, {"a": rng.random((3, 2)), "_seconds": np.ones((1, 1))}) for first in (0, 2, 4)]
    a, b = (merge_blocks(config, swept, order, ()) for order in (blocks, blocks[::-1]))
    assert a[0].equals(b[0]) and a[1].equals(b[1]) and a[2] == b[2] == 3


def test_checkpoints_between_measured_generations_lose_nothing(homes):
    whole = gaussian.run("replace", "smoke", grid="ends", progress=False)
    with pytest.raises(Stop):
        make(homes, grid="ends", on=stop_at("fit", 7))
    assert make(homes, grid="ends").statistics.equals(whole.statistics)


def damage(path, how):
    raw = path.read_bytes()
    if how == "truncated":
        path.write_bytes(raw[: len(raw) // 2])
    if how == "altered":
        path.write_bytes(raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:])
    if how == "missing":
        path.unlink()
    if how == "foreign":
        path.write_bytes(b"something else entirely")


@pytest.mark.parametrize("how", ["truncated", "altered", "missing", "foreign"])
@pytest.mark.parametrize("name", ["metrics.parquet", "summary.parquet", "manifest.json"])
def test_a_damaged_record_is_named_and_refused(homes, name, how):
    folder = make(homes).path
    damage(folder / name, how)
    with pytest.raises(ArchiveError, match="no record at|damaged|edited|truncated") as caught:
        load_record(folder)
    assert "\n" not in str(caught.value) and "smoke-replace" in str(caught.value)


def test_a_number_edited_in_a_manifest_is_noticed(homes):
    folder = make(homes).path
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["seed"] = 7
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArchiveError, match="manifest.json was edited after it was written"):
        load_record(folder)


@pytest.mark.parametrize("how", ["truncated", "foreign", "missing"])
@pytest.mark.parametrize("kind", ["metrics", "history"])
def test_a_damaged_resume_state_is_named_and_nothing_of_it_is_used(homes, kind, how):
    with pytest.raises(Stop):
        make(homes, on=stop_at("fit", 7))
    path = sorted((homes / "cache").rglob(f"{kind}-*.npz"))[-1]
    damage(path, how)
    if (kind, how) == ("history", "missing"):
        assert make(homes).metrics.equals(gaussian.run("replace", "smoke", progress=False).metrics)  # begun again
        return
    with pytest.raises(ArchiveError, match="damaged|lacks generations") as caught:
        make(homes)
    assert "\n" not in str(caught.value)


def test_a_resume_state_of_another_run_is_refused(tmp_path):
    BlockState(tmp_path / "state", {"run": "one"})
    with pytest.raises(ArchiveError, match="belongs to another configuration: refusing to mix"):
        BlockState(tmp_path / "state", {"run": "two"})


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "state.npz"
    np.savez(path, evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ArchiveError, match="damaged"):
        archive.files.read_arrays(path)


def test_two_processes_on_one_run(homes):
    with (
        archive.held(homes / "cache" / "x"),
        pytest.raises(ArchiveError, match="another process is running this very run"),
        archive.held(homes / "cache" / "x"),
    ):
        pass


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 1 MB; needs the right to mount one."""
    place = tmp_path / "tiny"
    place.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("this user may not mount a small file system")
    yield place
    subprocess.run(["umount", place], check=False)


def test_a_full_disk_gets_one_line_and_loses_nothing(homes, tiny_disk, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tiny_disk / "cache"))
    with pytest.raises(ArchiveError, match="No space left on device; what was saved before is untouched"):
        gaussian.run(
            None,
            "smoke",
            regime="accumulate_subsample",
            chains=100,
            block=100,
            save=homes / "results",
            checkpoint=0,
            progress=False,
        )
    shutil.copytree(tiny_disk / "cache", homes / "cache2")
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(homes / "cache2"))
    heard = []
    resumed = gaussian.run(
        None,
        "smoke",
        regime="accumulate_subsample",
        chains=100,
        block=100,
        save=homes / "results",
        checkpoint=0,
        progress=False,
        on=lambda p, g: heard.append(g),
    )
    assert heard[0] > 0
    assert resumed.metrics.equals(
        gaussian.run(None, "smoke", regime="accumulate_subsample", chains=100, block=100, progress=False).metrics
    )


def test_full_results_folder(homes, tiny_disk):
    (tiny_disk / "filler").write_bytes(b"x" * 1_036_000)
    with pytest.raises(ArchiveError, match="cannot write .*No space left on device"):
        gaussian.run("replace", "smoke", save=tiny_disk / "results", progress=False)
    (tiny_disk / "filler").unlink()
    heard = []
    gaussian.run("replace", "smoke", save=tiny_disk / "results", progress=False, on=lambda p, g: heard.append(p))
    assert set(heard) == {"write"}  # the run itself was safe in its resume state


def test_history_gives_only_its_last_sample():
    history = History("last")
    history.append(Points(np.zeros((1, 2, 1))))
    with pytest.raises(IndexError, match="gives its last sample"):
        history[5]


def strings(x) -> list[str]:
    """Every string in what a JSON file holds."""
    if isinstance(x, dict):
        return [text for pair in x.items() for part in pair for text in strings(part)]
    return [text for part in x for text in strings(part)] if isinstance(x, list) else [x] if isinstance(x, str) else []


ARCHIVED = sorted((ROOT / "data").rglob("*.json"))
OWN_FOLDER = re.compile(r"""(^|[\s'"(])/\w+/|[A-Z]:\\""")  # how a path of somebody's machine begins


@pytest.mark.parametrize("path", ARCHIVED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_archived_names_a_folder_of_the_machine_that_made_it(path):
    said = json.loads(path.read_text(encoding="utf-8"))
    assert not [text for text in strings(said) if OWN_FOLDER.search(text)]


def test_all_records_become_one_table(homes, tmp_path):
    records = [make(homes, seed=seed, name=f"seed-{seed}") for seed in (1, 2)]
    folders = sorted(path.parent for path in homes.rglob("manifest.json"))
    table = every_summary(folders)
    assert len(table) == sum(len(record.statistics) for record in records)
    row = table[(table["seed"] == 2) & (table["metric"] == "variance") & (table["generation"] == 1)].iloc[0]
    assert row["mean"] == records[1].at("variance", 1)["mean"]
    for name in ("all.csv", "all.csv.gz"):
        assert write_summaries(folders, tmp_path / name) == len(table)
        back = pd.read_csv(tmp_path / name, keep_default_na=False, na_values={"sd": ""})
        assert list(back.columns) == list(table.columns)
        assert np.allclose(back["q50"], table["q50"], rtol=1e-6)
    with pytest.raises(ArchiveError, match=r"all.txt: the file's name must end in .csv or .csv.gz"):
        write_summaries(folders, tmp_path / "all.txt")
    with pytest.raises(ArchiveError, match="no records to export"):
        write_summaries([], tmp_path / "none.csv")
    (folders[0] / "summary.parquet").write_bytes(b"not what was written")
    with pytest.raises(ArchiveError, match="summary.parquet is missing, truncated or edited"):
        write_summaries(folders, tmp_path / "damaged.csv")
    assert not (tmp_path / "damaged.csv").exists()

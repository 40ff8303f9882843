"""Power laws through measured costs, and the file that holds the measurements."""

import json

import numpy as np
import pandas as pd
import pytest

from model_collapse import planning, vae
from model_collapse.archive import ArchiveError
from model_collapse.archive.files import write_sealed
from model_collapse.costs import laws, measured, paper_scale, power_law, records
from model_collapse.families import family


def test_a_power_law_without_noise_is_found_exactly():
    x = np.array([1, 2, 4, 8])
    law = power_law(x, 3 * x**1.5)
    assert (law.slope, law.scale, law.at(16)) == pytest.approx((1.5, 3, 192))
    assert law.low == pytest.approx(1.5) and law.high == pytest.approx(1.5)


def test_the_interval_holds_the_slope_as_often_as_it_says():
    rng = np.random.default_rng(0)
    x = np.array([1, 2, 4, 8])
    laws = [power_law(x, x**0.8 * np.exp(rng.normal(0, 0.1, 4))) for _ in range(2000)]
    assert np.mean([law.low <= 0.8 <= law.high for law in laws]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 4], [1, 0, 2])])
def test_too_few_sizes_or_nothing_measured_is_no_law(x, y):
    with pytest.raises(ValueError, match="three sizes or more"):
        power_law(x, y)


def test_measurements_are_read_back_and_a_changed_one_is_noticed(tmp_path):
    row = {"family": "gmm", "axis": "chains", "size": 25, "seconds": 1.5, "megabytes": 3.0}
    write_sealed(tmp_path / "costs.json", {"runs": [row], "machine": {"cores": 2}})
    table, machine = measured(tmp_path)
    assert table.to_dict("records") == [row] and machine == {"cores": 2}
    said = json.loads((tmp_path / "costs.json").read_text())
    said["runs"][0]["seconds"] = 0.5
    (tmp_path / "costs.json").write_text(json.dumps(said))
    with pytest.raises(ArchiveError, match="costs.json is damaged, edited"):
        measured(tmp_path)


def test_every_axis_has_its_law_and_memory_that_stays_has_none():
    sizes = [1, 2, 4, 8]
    grows = {"axis": "samples", "size": sizes, "seconds": [2, 4, 8, 16], "megabytes": [20, 40, 80, 160]}
    stays = {"axis": "generations", "size": sizes, "seconds": [3, 3, 3, 3], "megabytes": [9, 8, 9, 10]}
    runs = pd.concat([pd.DataFrame(grows), pd.DataFrame(stays)]).assign(family="gmm")
    found = {(axis, measure): law for (_, axis, measure), law in laws(runs).items()}
    assert [found["samples", measure].slope for measure in ("seconds", "megabytes")] == pytest.approx([1, 1])
    assert found["generations", "seconds"].slope == pytest.approx(0)
    assert found["generations", "megabytes"] is None


def test_the_scale_of_the_papers_is_what_records_took_times_its_work(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    assert len(records(tmp_path)) == 0
    made = vae.FAMILY.run("stored-replace", "smoke", save=tmp_path, progress=False)
    (took,) = records(tmp_path).itertuples()
    assert (took.family, took.run, took.seconds) == ("vae", "smoke-stored-replace", made.manifest["seconds"]["total"])
    assert took.expected == pytest.approx(took.seconds), "the pace of one record is its own"
    of_paper = sum(family("vae").amount(*family("vae").configure(study, "paper")) for study in family("vae").studies)
    one, many = (paper_scale(records(tmp_path), nodes, 50).set_index("family").loc["vae"] for nodes in (1, 10**6))
    assert one.cores == pytest.approx(of_paper * took.seconds / took.work / 3600)
    assert one.gpu == pytest.approx(one.cores / 50) == one.cluster
    assert (one.runs, one.jobs) == (13, sum(planning.parts("vae", s, "paper") for s in family("vae").studies))
    pace = planning.pace("vae", planning.taken(tmp_path, "vae"))
    longest = max(planning.hours("vae", s, "paper", pace) / planning.parts("vae", s, "paper") for s in vae.STUDIES)
    assert many.cluster == pytest.approx(longest / 50), "no job can be shared between two"

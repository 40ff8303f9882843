"""The plan names what the archive lacks, and puts first what decides most claims per hour."""

import numpy as np
import pytest

from model_collapse import gmm, planning
from model_collapse.archive import load_record, save_record
from model_collapse.claims import CLAIMS
from model_collapse.cli import main
from model_collapse.families import FAMILIES, family
from model_collapse.theory import gaussian, regression


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "results"


def find(items, family, study):
    return next((item for item in items if (item.family, item.study) == (family, study)), None)


def test_an_empty_archive_lacks_everything(home):
    items = planning.plan(home)
    assert {(i.family, i.study) for i in items} >= {(n, s) for n in FAMILIES for s in family(n).studies}
    assert sum(item.verdicts for item in items) == pytest.approx(len([c for c in CLAIMS if c.needs]))
    rates = [item.verdicts_per_hour for item in items]
    assert rates == sorted(rates, reverse=True) and rates[0] > 0


def test_what_no_code_can_make_is_said_to_be_so_and_has_no_estimate(home, monkeypatch):
    monkeypatch.delitem(FAMILIES, "gan")
    items = planning.plan(home)
    unbuilt = [item for item in items if item.state == planning.NOT_BUILT]
    assert {item.family for item in unbuilt} == {"gan"}
    assert all(item.hours is None for item in unbuilt)
    assert all(item.gpu == (item.family in ("llm", "gan", "vae")) for item in planning.plan(home, "paper"))
    assert all(item.hours > 0 for item in items if item.state == planning.MISSING)


def test_a_record_that_is_there_is_not_planned_and_a_stale_or_damaged_one_is(home):
    small = {"chains": 4, "block": 4, "generations": 3}
    made = regression.run("augment", "smoke", save=home, name="paper-augment", progress=False)
    assert find(planning.plan(home, profile="smoke"), "regression", "augment").state == "missing"
    assert find(planning.plan(home), "regression", "augment").state == "stale: profile or study differs"
    regression.run("augment", "smoke", save=home, progress=False)
    assert find(planning.plan(home, profile="smoke"), "regression", "augment") is None
    assert gaussian.run("keep10", "smoke", save=home, name="smoke-keep10", progress=False, **small)
    assert find(planning.plan(home, profile="smoke"), "gaussian", "keep10").state == "stale: config differs"
    (made.path.with_name("smoke-augment") / "metrics.parquet").write_bytes(b"")
    assert find(planning.plan(home, profile="smoke"), "regression", "augment").state == "damaged"


def test_a_higher_protocol_makes_stale(home):
    record = regression.run("augment", "smoke", save=home, progress=False)
    assert planning.staleness(record) == ""
    manifest = {k: v for k, v in record.manifest.items() if k not in ("files", "digest", "schema")}
    older = save_record(home / "old", type(record)(manifest | {"protocol": 0}, record.metrics, record.statistics))
    assert planning.staleness(load_record(older.path)) == "protocol"


def rewritten(record, folder, **changes):
    manifest = {k: v for k, v in record.manifest.items() if k not in ("files", "digest", "schema")} | changes
    return save_record(folder, type(record)(manifest, record.metrics, record.statistics))


def test_another_number_of_threads_does_not_make_stale_and_another_setting_does(home):
    record = gaussian.run("keep10", "smoke", save=home, progress=False)
    said = record.manifest["config"]
    assert planning.staleness(rewritten(record, home / "x", config=said | {"threads": 7})) == ""
    assert planning.staleness(rewritten(record, home / "y", config=said | {"share": 0.2})) == "config"


def test_a_run_with_settings_of_its_own_is_stale_by_protocol_only(home):
    own = gaussian.run("keep10", "smoke", save=home, chains=4, progress=False)
    free = gaussian.run(None, "smoke", save=home, n=50, progress=False)
    for number, record in enumerate((own, free)):
        assert planning.staleness(load_record(record.path)) == ""
        older = rewritten(record, home / "gaussian" / f"old-{number}", protocol=0)
        assert planning.staleness(older) == "protocol"


def test_a_study_that_is_no_more(home):
    record = regression.run("augment", "smoke", save=home, progress=False)
    assert planning.staleness(rewritten(record, home / "x", run="smoke-gone", study="gone")) == "study"
    assert planning.staleness(rewritten(record, home / "y", family="gone")) == "family"


def test_small_runs_and_own_data_do_not_skew_the_estimate(home, tmp_path):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).standard_normal((100, 2)))
    record = gmm.run("blob-replace", "smoke", save=home, name="a", progress=False)
    rewritten(record, home / "gmm" / "b", seconds={"total": 6 * 5 * 200 * 1e-3})  # a millisecond an item
    (record.path / "manifest.json").unlink()
    gmm.run(None, "smoke", data=tmp_path / "mine.npy", save=home, progress=False)
    hours = find(planning.plan(home), "gmm", "blob-keep10").hours
    assert hours == pytest.approx(200 * 2051 * 1000 * 1e-3 / 3600)


def test_an_empty_folder_is_a_missing_record(home):
    (home / "gaussian" / "paper-keep10").mkdir(parents=True)
    assert find(planning.plan(home), "gaussian", "keep10").state == "missing"


def test_an_estimate_comes_from_the_family_s_records_where_there_are_any(home):
    before = find(planning.plan(home), "gaussian", "replace").hours
    record = gaussian.run("keep10", "smoke", save=home, progress=False)
    manifest = {k: v for k, v in record.manifest.items() if k not in ("files", "digest", "schema")}
    manifest["seconds"] = {"total": 3600 * 40 * 13}  # an hour for every chain and fit
    save_record(home / "gaussian" / "slow", type(record)(manifest, record.metrics, record.statistics))
    chosen = family("gaussian")
    there = find(planning.plan(home), "gaussian", "replace").hours
    assert there > 1e3 * before
    assert there <= chosen.amount(*chosen.configure("replace", "paper"))


def test_the_command(home, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["model-collapse", "plan", "--results", str(home)])
    main()
    out = capsys.readouterr().out
    assert (
        "What the archive lacks" in out
        and "hours: on so many processor cores" in out
        and "vae/laptop-stream-keep10" in out
    )

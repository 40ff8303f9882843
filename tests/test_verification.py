"""A record that was tampered with is named, whatever was changed and however well its checksums were mended."""

import dataclasses
import json
import re

import numpy as np
import pytest

from model_collapse import device, gmm, vae
from model_collapse.archive import ArchiveError, load_record, save_record
from model_collapse.cli import main
from model_collapse.theory import discrete, gaussian
from model_collapse.verification import check_verdicts, verify

EVERYWHERE = {"sse2", "asimd"}  # one of which every processor has


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODEL_COLLAPSE_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def mixture(home):
    return gmm.run("blob-replace", "smoke", save=home, progress=False).path


@pytest.fixture
def normal(home):
    return gaussian.run("bias", "smoke", save=home, progress=False).path


def forged(folder, **changes):
    """The record with changed parts and fresh checksums, as someone who knows the format would leave it."""
    record = load_record(folder)
    arrays = changes.pop("arrays", None) or {
        name.split("/")[1][:-4]: record.samples(name.split("/")[1][:-4])
        for name in record.manifest["files"]
        if name.startswith("samples/")
    }
    manifest = {k: v for k, v in record.manifest.items() if k not in ("files", "digest", "schema")}
    manifest |= changes.pop("manifest", {})
    target = folder.with_name(f"{folder.name}-forged")
    return save_record(target, dataclasses.replace(record, manifest=manifest, arrays=arrays, **changes)).path


def test_grades(mixture, normal):
    assert verify(normal).grade == "intact"
    assert verify(mixture).grade == "replayed"
    assert verify(normal, full=True).grade == verify(mixture, full=True).grade == "re-run"


def test_networks_are_run_again_in_the_precision_that_the_record_had(home, monkeypatch):
    options = {"save": home, "progress": False, "device": "cpu"}
    monkeypatch.setattr(device, "MATRIX_UNITS", set())
    single = vae.FAMILY.run("stored-replace", "smoke", name="single", **options)
    monkeypatch.setattr(device, "MATRIX_UNITS", EVERYWHERE)
    half = vae.FAMILY.run("stored-replace", "smoke", name="half", **options)
    assert [made.manifest["machine"]["precision"] for made in (single, half)] == ["fp32", "bf16"]
    assert {made.manifest["machine"]["device"] for made in (single, half)} == {"cpu"}
    assert not single.metrics["value"].equals(half.metrics["value"])
    assert verify(single.path, full=True).grade == verify(half.path, full=True).grade == "re-run"
    unsaid = {key: value for key, value in single.manifest["machine"].items() if key not in ("device", "precision")}
    older = forged(single.path, manifest={"machine": unsaid | {"instructions": ["avx2"]}})
    assert verify(older, full=True).grade == "re-run"
    monkeypatch.setattr(device, "MATRIX_UNITS", set())
    found = verify(half.path, full=True)
    assert found.grade != "re-run" and "it was made in bf16, for which this processor has no units" in found.notes
    on_another = forged(older, manifest={"machine": single.manifest["machine"] | {"device": "Some GPU"}})
    found = verify(on_another, full=True)
    assert found.grade != "re-run" and "it was made on Some GPU, and here is cpu" in found.notes


def test_arms_of_different_precisions_are_run_again_each_in_its_own(home, monkeypatch):
    monkeypatch.setattr(device, "MATRIX_UNITS", EVERYWHERE)
    both = vae.FAMILY.run("precision", "smoke", save=home, progress=False)
    assert both.arms == ["precision=fp32", "precision=bf16"]
    assert verify(both.path, full=True).grade == "re-run"
    monkeypatch.setattr(device, "MATRIX_UNITS", set())
    assert "it was made in bf16, for which this processor has no units" in verify(both.path, full=True).notes


def test_a_run_goes_on_in_the_precision_that_it_began_with(home, monkeypatch):
    monkeypatch.setattr(device, "MATRIX_UNITS", set())
    options = {"progress": False, "chains": 2, "device": "cpu"}
    alone = vae.FAMILY.run("stored-replace", "smoke", **options)
    vae.FAMILY.run("stored-replace", "smoke", save=home, shard=(1, 2), **options)
    (part,) = home.parent.glob("cache/runs/vae/*/arm000-block0000")  # which another machine may take
    assert {path.name.partition("-")[0] for path in part.iterdir()} == {"identity.json", "lock", "metrics", "history"}
    monkeypatch.setattr(device, "MATRIX_UNITS", EVERYWHERE)
    merged = vae.FAMILY.run("stored-replace", "smoke", save=home, **options)
    assert merged.manifest["machine"]["precision"] == "fp32"
    assert merged.metrics.equals(alone.metrics)


def test_a_run_goes_on_with_the_first_network_that_it_began_with(home, monkeypatch):
    """On another processor, by whose name networks are shared between runs, generation 0 is not trained again."""

    class Stop(Exception):
        pass

    def stop(phase: str, g: int) -> None:
        if (phase, g) == ("sample", 1):
            raise Stop

    options = {"progress": False, "chains": 1, "device": "cpu", "save": home}
    with pytest.raises(Stop):
        vae.FAMILY.run("stored-replace", "smoke", on=stop, checkpoint=0, **options)
    monkeypatch.setattr(device, "processor", lambda: ("another", set()))
    fitted = []
    fit = vae.VAELearner._fit
    monkeypatch.setattr(
        vae.VAELearner, "_fit", lambda self, items, turn: fitted.append(turn.g) or fit(self, items, turn)
    )
    vae.FAMILY.run("stored-replace", "smoke", **options)
    assert fitted == [1, 2]


def test_a_run_on_a_persons_own_data_is_replayed_and_says_why_not_more(home, tmp_path):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).standard_normal((100, 3)))
    folder = gmm.run(None, "smoke", data=tmp_path / "mine.npy", save=home, progress=False).path
    found = verify(folder, full=True)
    assert (found.grade, found.notes) == ("replayed", ["its data, mine.npy, are not at hand"])


def test_a_forged_value_of_one_chain_is_found_by_the_statistics(mixture):
    metrics = load_record(mixture).metrics
    wrong = metrics["value"].mask((metrics["metric"] == "weight") & (metrics["generation"] == 2), 0.4)
    with pytest.raises(ArchiveError, match="the mean of 'weight' is not that of its chains"):
        verify(forged(mixture, metrics=metrics.assign(value=wrong)))


def test_forged_parameters_are_found_by_measuring_again(mixture):
    kept = load_record(mixture).samples("kept")
    with pytest.raises(ArchiveError, match="'component_spread' measured again differs from the record"):
        verify(forged(mixture, arrays={"kept": kept | {"covariances": kept["covariances"] * 1.02}}))


def test_values_that_agree_with_each_other_but_not_with_the_loop_are_found_by_running_again(normal):
    record = load_record(normal)
    metrics = record.metrics.assign(value=record.metrics["value"] * 1.001)
    columns = [name for name in record.statistics.columns if name == "mean" or name.startswith("q")]
    statistics = record.statistics.copy()
    statistics[columns] *= np.float32(1.001)
    folder = forged(normal, metrics=metrics, statistics=statistics)
    assert verify(folder).grade == "intact"
    with pytest.raises(ArchiveError, match="run again differs from the record"):
        verify(folder, full=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[s["generation"] != 3], "lacks generations"),
        (lambda s: s.assign(count=7), "counts other chains"),
        (lambda s: s.assign(mean=np.float32(np.nan)), "a value is not finite"),
        (lambda s: s[s["arm"] == s["arm"].iloc[0]], "other arms than the manifest"),
    ],
)
def test_a_table_that_is_not_whole(normal, change, message):
    with pytest.raises(ArchiveError, match=message):
        verify(forged(normal, statistics=change(load_record(normal).statistics)))


def test_a_stale_record_is_intact_and_says_so(normal):
    found = verify(forged(normal, manifest={"protocol": 0}), full=True)
    assert found.grade == "intact" and "stale (protocol differs)" in found.notes[0]


def test_verdicts_are_held_against_the_archived_ones(home, capsys, monkeypatch):
    discrete.run("absorption", "smoke", save=home, name="paper-absorption", progress=False)
    with pytest.raises(ArchiveError, match="no archived verdicts at .*scorecard.json"):
        check_verdicts(home)

    def said(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["model-collapse", *words])
        main()
        return capsys.readouterr().out

    (home / "scorecard.json").write_text(said("claims", "--json"))
    assert check_verdicts(home) > 40
    rows = json.loads((home / "scorecard.json").read_text())
    row = next(row for row in rows if row["id"] == "T1")
    row["verdict"] = "replicated" if row["verdict"] != "replicated" else "not replicated"
    (home / "scorecard.json").write_text(json.dumps(rows))
    with pytest.raises(ArchiveError, match="claim T1: verdict is"):
        check_verdicts(home)
    with pytest.raises(SystemExit, match="claim T1"):
        said("verify", "--all")


def test_the_command_names_what_cannot_be_trusted(home, mixture, normal, capsys, monkeypatch):
    (normal / "summary.parquet").write_bytes(b"")
    monkeypatch.setattr("sys.argv", ["model-collapse", "verify", "--all"])
    with pytest.raises(SystemExit, match="1 of 2 records cannot be trusted"):
        main()
    out = capsys.readouterr().out
    assert "DAMAGED   gaussian/smoke-bias" in out and "replayed  gmm/smoke-blob-replace" in out
    monkeypatch.setattr("sys.argv", ["model-collapse", "verify"])
    with pytest.raises(SystemExit, match="verify one run, such as gmm/paper-blob-replace, or --all"):
        main()
    monkeypatch.setattr("sys.argv", ["model-collapse", "verify", "gmm/typo"])
    with pytest.raises(SystemExit, match="no record gmm/typo at"):
        main()
    cited = load_record(mixture).identifier
    monkeypatch.setattr("sys.argv", ["model-collapse", "verify", cited])
    main()
    assert f"replayed  {cited}" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["model-collapse", "verify", cited[:-12] + "0" * 12])
    with pytest.raises(SystemExit, match=f"what is there is {cited}, not @000000000000"):
        main()


def test_records_that_nothing_here_can_make_do_not_stop_the_rest(home, mixture, normal, capsys, monkeypatch):
    """A family of another version, a setting that is no longer possible, a manifest that is gone."""
    forged(normal, manifest={"family": "crystal"}).rename(home / "gaussian" / "a-crystal")
    config = load_record(normal).manifest["config"] | {"grid": "spiral"}
    forged(normal, manifest={"config": config}).rename(home / "gaussian" / "b-spiral")
    monkeypatch.setattr("sys.argv", ["model-collapse", "verify", "--all"])
    main()
    out = capsys.readouterr().out
    assert re.search("intact    gaussian/a-crystal@[0-9a-f]{12}; no family 'crystal' here to compute it again", out)
    assert re.search("intact    gaussian/b-spiral@[0-9a-f]{12}; stale: grid must be full, marks or ends, not 'sp", out)
    assert "replayed  gmm/smoke-blob-replace" in out and "no archived verdicts here (scorecard.json)" in out
    (normal / "manifest.json").unlink()
    with pytest.raises(SystemExit, match="1 of 4 records cannot be trusted: no record at"):
        main()

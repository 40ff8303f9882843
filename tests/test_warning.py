"""The alarm: its statistics by other ways, its rate of false alarms, what it sees and what it must not take for it."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import binom, energy_distance, hypergeom

from model_collapse import cli, datasets, gmm
from model_collapse.datasets import DataError
from model_collapse.distances import frechet_distance
from model_collapse.figures import warning as figures
from model_collapse.warning import LEAST, SAYS, WatchError, alarm_of, false_alarms, read_set, watch
from model_collapse.warning.leads import SHARES, first_half, first_moved, leads, levels_of, rings
from model_collapse.warning.permutation import Statistic, adjusted, frechet, of_points, of_words
from model_collapse.warning.sets import ItemSet, as_set


def points(x: np.ndarray, name: str = "some.csv") -> ItemSet:
    return ItemSet(name, "points", x)


def named(statistics: list[Statistic]) -> dict:
    return {statistic.name: statistic.value for statistic in statistics}


def test_statistics_of_points_by_loops():
    rng = np.random.default_rng(0)
    x, deal = rng.standard_normal((60, 2)), rng.permutation(np.arange(60) < 25)
    value = {name: float(take(deal[None])[0]) for name, take in named(of_points(x)).items()}
    near = [np.argsort(np.hypot(*(x - a).T))[1:6] for a in x]  # the first is the point itself
    assert value["coverage"] == np.mean([deal[near[i]].any() for i in np.flatnonzero(~deal)])
    assert value["precision"] == np.mean([(~deal)[near[i]].any() for i in np.flatnonzero(deal)])
    reach = [np.hypot(*(x[near[i][-1]] - x[i])) for i in range(60)]
    assert value["tail"] == pytest.approx(deal[np.argsort(reach)[-6:]].mean() / (25 / 60))


def test_the_energy_distance_is_scipy_s():
    rng = np.random.default_rng(1)
    x, deal = rng.standard_normal((50, 1)), np.arange(50) < 20
    found = named(of_points(x))["energy"](deal[None])[0]
    assert found == pytest.approx(energy_distance(x[deal, 0], x[~deal, 0]) ** 2)


def test_statistics_of_words_by_hand():
    # words: a b c d; items 0 and 1 are the reference's
    counts = csr_matrix([[40, 30, 1, 0], [40, 0, 0, 1], [40, 30, 0, 0], [40, 10, 0, 0]])
    deal = np.array([[False, False, True, True]])
    value = {name: float(take(deal)[0]) for name, take in named(of_words(counts)).items()}
    assert value == {"rare_words": 0.0, "survival": 2 / 4, "known": 2 / 2}  # c and d are rare: 2 of 232 words
    other = np.array([[True, False, True, False]])
    assert named(of_words(counts))["rare_words"](other)[0] == pytest.approx(1 / 141)


def test_the_p_value_of_a_tail_is_the_hypergeometric_one():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.standard_normal((100, 2)), 0.8 * rng.standard_normal((100, 2))])
    labels = np.arange(200) >= 100
    tail = [statistic for statistic in of_points(x) if statistic.name == "tail"]
    share, expected, p = adjusted(tail, labels, 4999, rng)["tail"]
    assert expected == pytest.approx(1.0)
    assert p == pytest.approx(hypergeom.cdf(round(share * 10), 200, 100, 20), abs=0.02)


def test_p_values_share_one_rate():
    """With two independent statistics the smaller p-value is adjusted to 1 - (1 - p)^2, with two copies it stays."""
    rng = np.random.default_rng(3)
    u, v, labels = rng.standard_normal(300), rng.standard_normal(300), np.arange(300) < 150
    u[labels] -= 0.1
    low = Statistic("low", lambda deals: deals @ u, "narrow")
    copies = [low, Statistic("again", lambda deals: deals @ u, "narrow")]
    both = [low, Statistic("noise", lambda deals: deals @ v, "different")]
    alone, twice, pair = (
        adjusted(some, labels, 4999, np.random.default_rng(4))["low"][2] for some in ([low], copies, both)
    )
    assert alone == twice and 0.005 < alone < 0.1
    assert pair == pytest.approx(1 - (1 - alone) ** 2, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(80, 80), (60, 140)])
def test_false_alarms_come_at_the_stated_rate(sizes):
    """1,000 pairs of sets that were drawn alike."""
    rng, rate = np.random.default_rng(5), 0.1
    alarms = 0
    for seed in range(1000):
        ours, theirs = (points(rng.standard_t(4, (size, 2))) for size in sizes)
        alarms += watch(ours, theirs, rate, deals=199, seed=seed).alarm != "none"
    low, high = binom.interval(0.99, 1000, rate)
    assert low <= alarms <= high


CANDIDATES = {
    "narrower": (lambda x: 0.7 * x, "collapse"),
    "without tails": (lambda x: np.where(np.abs(x) > 1.5, x / 2, x), "collapse"),
    "without a side": (lambda x: np.abs(x), "collapse"),
    "wider": (lambda x: 2 * x, "other"),
    "shifted": (lambda x: x + [1, 0], "other"),
    "another draw": (lambda x: x, "none"),
}


@pytest.mark.parametrize("what", CANDIDATES)
def test_what_the_alarm_says(what):
    change, expected = CANDIDATES[what]
    rng = np.random.default_rng(6)
    found = watch(points(rng.standard_normal((500, 2))), points(change(rng.standard_normal((500, 2)))), 0.01)
    assert found.alarm == expected
    assert found.items == (500, 500) and found.kind == "points"
    assert found.report()["statistics"].keys() == {"tail", "coverage", "precision", "energy"}


def passages(rng: np.random.Generator, count: int, power: float = 1.0) -> ItemSet:
    """Passages of words with Zipf's frequencies, raised to a power."""
    words = np.array(["".join(letters) for letters in itertools.product("abcdefghijklm", repeat=3)])
    p = 1 / np.arange(1, len(words) + 1) ** power
    return ItemSet("text", "text", [" ".join(rng.choice(words, 64, p=p / p.sum())) for _ in range(count)])


def test_a_text_that_loses_its_rare_words():
    rng = np.random.default_rng(7)
    reference = passages(rng, 200)
    assert watch(reference, passages(rng, 200)).alarm == "none"
    found = watch(reference, passages(rng, 200, power=1.15))
    assert found.alarm == "collapse" and found.statistics["rare_words"]["p"] <= 0.05
    assert found.statistics["survival"]["value"] < found.statistics["survival"]["expected"]


def test_images_that_grow_alike():
    images = as_set(datasets.digits())
    order = np.random.default_rng(8).permutation(len(images))
    halves = (images.items[order[:800]], images.items[order[800:1600]])
    ours, same = (ItemSet("digits", "images", half) for half in halves)
    assert watch(ours, same, 0.01).alarm == "none"
    alike = ItemSet("digits", "images", 0.6 * halves[1] + 0.4 * halves[1].mean(axis=0))
    assert watch(ours, alike).alarm == "collapse"


def test_sets_are_read_by_the_readers_of_the_families(tmp_path):
    rng = np.random.default_rng(9)
    np.save(tmp_path / "points.npy", rng.standard_normal((50, 3)))
    np.savez(tmp_path / "pictures.npz", images=rng.integers(0, 255, (70, 8, 8), dtype=np.uint8), labels=np.zeros(70))
    (tmp_path / "text.txt").write_text("many words " * 3200)
    (tmp_path / "points.csv").write_text("x,y\n" + "".join(f"{k},{k * k}\n" for k in range(50)))
    kinds = {"points.npy": 50, "pictures.npz": 70, "text.txt": 100, "points.csv": 50}
    assert [len(read_set(tmp_path / name)) for name in kinds] == list(kinds.values())
    assert [read_set(tmp_path / name).kind for name in kinds] == ["points", "images", "text", "points"]
    with pytest.raises(DataError, match="points.csv has 2 dimensions, points.npy 3") as error:
        watch(read_set(tmp_path / "points.csv"), read_set(tmp_path / "points.npy"))
    assert "\n" not in str(error.value)
    with pytest.raises(WatchError, match="points.csv holds points, text.txt text"):
        watch(read_set(tmp_path / "points.csv"), read_set(tmp_path / "text.txt"))
    with pytest.raises(DataError, match="no kind 'sound': take points, images, text"):
        read_set(tmp_path / "points.csv", "sound")


def test_too_few_items_and_impossible_rates():
    few, enough = points(np.eye(LEAST - 1)[:, :2], "few.csv"), points(np.random.default_rng(0).standard_normal((60, 2)))
    with pytest.raises(WatchError, match=r"few.csv has 39 items \(points\); 40 are needed"):
        watch(enough, few)
    with pytest.raises(WatchError, match="lies between 0 and 1, not at 2"):
        watch(enough, enough, 2.0)


def watched(capsys, monkeypatch, *arguments: str) -> tuple[int, str]:
    """Exit status and what was printed of the real command line."""
    monkeypatch.setattr("sys.argv", ["model-collapse", "watch", *arguments])
    status = 0
    try:
        cli.main()
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return (status, out + err) if isinstance(status, int) else (1, f"{out}{err}{status}")


def test_the_command_has_a_status_for_pipelines(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(10)
    for name, x in {"a": rng.standard_normal((400, 2)), "b": rng.standard_normal((400, 2))}.items():
        np.save(tmp_path / f"{name}.npy", x)
        np.save(tmp_path / f"{name}-narrow.npy", 0.6 * x)
        np.save(tmp_path / f"{name}-shifted.npy", x + 1)
    paths = {path.stem: str(path) for path in tmp_path.iterdir()}
    report = tmp_path / "report.json"
    status, out = watched(capsys, monkeypatch, paths["a"], paths["b"], "--report", str(report))
    assert status == 0 and out.endswith("no alarm\n")
    said = json.loads(report.read_text())
    assert (said["alarm"], said["reference"], said["items"]) == ("none", "a.npy", [400, 400])
    assert watched(capsys, monkeypatch, paths["a"], paths["b-narrow"])[0] == 3
    assert watched(capsys, monkeypatch, paths["a"], paths["b-shifted"])[0] == 4
    status, out = watched(capsys, monkeypatch, paths["a"], str(tmp_path / "none.csv"))
    assert status == 1 and out == "model-collapse: none.csv: No such file or directory"
    status, out = watched(capsys, monkeypatch, paths["a"], paths["b"], "--rate", "0")
    assert status == 1 and out.startswith("model-collapse: a rate of false alarms lies between 0 and 1")


def test_the_kind_of_an_array_is_told_by_its_header(tmp_path):
    from model_collapse.datasets.arrays import fewest_axes

    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    np.save(tmp_path / "b.npy", np.zeros((3, 8, 8)))
    np.savez(tmp_path / "c.npz", labels=np.zeros(3), images=np.zeros((3, 8, 8)), more=np.zeros((2, 2, 2, 2)))
    np.savez_compressed(tmp_path / "d.npz", points=np.zeros((3, 2)))
    (tmp_path / "e.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:20])
    (tmp_path / "f.npz").write_bytes((tmp_path / "d.npz").read_bytes()[:-30])
    (tmp_path / "g.npy").write_bytes(b"")
    (tmp_path / "h.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-8])  # its header is whole
    found = {path.stem: fewest_axes(path) for path in sorted(tmp_path.iterdir())}
    assert found == {"a": 2, "b": 3, "c": 3, "d": 2, "e": 0, "f": 0, "g": 0, "h": 3}
    assert fewest_axes(tmp_path / "nowhere.npy") == 0


def test_the_frechet_distance_of_deals_is_the_one_of_sets():
    rng = np.random.default_rng(11)
    x = rng.standard_normal((80, 3)) @ rng.standard_normal((3, 3))
    deals = np.stack([rng.permutation(np.arange(80) < 35) for _ in range(4)])
    expected = [frechet_distance(x[~deal], x[deal]) for deal in deals]
    assert frechet(x).value(deals) == pytest.approx(expected)


def test_p_values_come_to_an_alarm():
    low, high = 0.01, 0.9
    cases = {"narrow": "collapse", "missing": "collapse", "strange": "other", "different": "other"}
    for kind, expected in cases.items():
        assert alarm_of({says: low if says == kind else high for says in SAYS}, 0.05) == expected
    assert alarm_of(dict.fromkeys(SAYS, high), 0.05) == "none"
    replaced = {"narrow": high, "missing": low, "strange": low, "different": low}
    assert alarm_of(replaced, 0.05) == "other"
    assert alarm_of(replaced | {"narrow": low}, 0.05) == "collapse"


@pytest.fixture(scope="module")
def watched_run():
    """Twelve mixtures that collapse while an alarm looks on."""
    scale = {"chains": 12, "block": 12, "generations": 12, "n": 120, "progress": False}
    return gmm.run("alarm", "quick", marks=(1, 3, 6, 12), **scale)


@pytest.mark.slow
def test_equal_draws_of_one_set_alarm_at_every_stated_rate():
    digits = as_set(datasets.digits())
    p = false_alarms(digits, 50, 200)
    for rate in (0.05, 0.2, 0.5):
        low, high = binom.interval(0.999, 200, rate)
        assert low <= (p <= rate).sum() <= high
    with pytest.raises(WatchError, match="are needed"):
        false_alarms(digits, 1000, 1)


def test_when_an_alarm_rang_is_read_from_the_record(watched_run):
    p = np.min([watched_run.chains(f"alarm_all_{says}").to_numpy() for says in SAYS], axis=0)
    assert np.array_equal(levels_of(watched_run, "all").to_numpy(), p)
    found = rings(watched_run, 0.2, "all")
    assert found.to_list() == pytest.approx((p <= 0.2).mean(axis=1))
    first = first_half(watched_run, 0.2, "all")
    assert first == next((g for g, share in found.items() if share >= 0.5), None)
    assert first is not None and first_half(watched_run, 0.0, "all") is None
    by_frechet = levels_of(watched_run, "all", "frechet")
    assert np.array_equal(by_frechet, watched_run.chains("alarm_all_frechet"))


def test_the_loss_has_moved_where_the_median_chain_is_beyond_those_of_generation_0(watched_run):
    g = first_moved(watched_run)
    table = watched_run.summary("log_likelihood")
    assert table["q50"][g] < table["q05"][0]
    assert all(table["q50"][earlier] >= table["q05"][0] for earlier in table.index if earlier < g)
    assert first_moved(watched_run, "regime=accumulate") is None
    rows = {row.share: row for row in leads(watched_run, 0.2)}
    assert set(rows) == set(SHARES) - {"none"}
    row = rows["all"]
    assert (row.family, row.loss, row.watch) == ("gmm", g, first_half(watched_run, 0.2, "all"))


def test_figures_of_the_alarm_draw_its_record(watched_run):
    (ax,) = figures.soon([watched_run], 0.2).axes
    assert np.allclose(ax.lines[0].get_ydata(), rings(watched_run, 0.2, "all"))
    left, right = figures.roc(watched_run, (0, 12)).axes
    share = (levels_of(watched_run, "all").loc[12] <= 0.5).mean()
    assert left.lines[1].get_ydata()[100] == pytest.approx(share)
    assert len(left.lines) == len(right.lines) == 4
    left, right = figures.regimes(watched_run, 0.2).axes
    assert np.allclose(right.lines[0].get_ydata(), watched_run.summary("log_likelihood")["q50"])
    (ax,) = figures.false_alarms({"equal": np.arange(1, 101) / 100}).axes
    x, y = ax.lines[0].get_data()
    assert y == pytest.approx(np.floor(x * 100 + 1e-9) / 100)

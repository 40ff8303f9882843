"""Labels that a verifier has looked at: the exact laws against real points, the breakdown, the formula."""

import numpy as np
import pytest
from scipy import stats

from model_collapse.expectations import verifier_accuracy, verifier_breakdown
from model_collapse.theory import verifier
from model_collapse.theory.verifier import Config, label_points


def test_the_sums_are_those_of_points():
    config, chains = Config(d=4, n=30, gap=0.7, p=0.4, phi=0.8, psi=0.5), 4000
    rng = np.random.default_rng(0)
    wrong = rng.random((chains, config.n)) < config.p
    kept = rng.random((chains, config.n)) < np.where(wrong, config.psi, config.phi)
    # y x for a label y and x ~ N(y m, I) is N(m, I) for a right label and N(-m, I) for a wrong one
    yx = rng.standard_normal((chains, config.n, config.d))
    yx[..., 0] += np.where(wrong, -config.gap, config.gap)
    total = (yx * kept[..., None]).sum(axis=1)
    ours = label_points(config, config.p, config.phi, config.psi, chains, rng).total
    assert stats.ks_2samp(ours[:, 0], total[:, 0]).pvalue > 0.001
    assert stats.ks_2samp(ours[:, 1], np.linalg.norm(total[:, 1:], axis=1)).pvalue > 0.001
    planted = label_points(config, config.p, config.phi, config.psi + 0.1, chains, rng).total
    assert stats.ks_2samp(planted[:, 0], total[:, 0]).pvalue < 0.001


def test_accuracy_follows_the_formula_and_crosses_at_the_breakdown():
    record = verifier.run("sweep", "quick", progress=False)
    for arm in record.arms:
        phi, psi, p = (record.setting(name, arm) for name in ("phi", "psi", "p"))
        row = record.at("accuracy", 1, arm)
        away = abs(p - verifier_breakdown(phi, psi))
        if away > 0.1:
            assert row["mean"] == pytest.approx(verifier_accuracy(100, 10_000, 1.0, p, phi, psi), abs=0.01)
            assert (row["mean"] > 0.5) == (p < verifier_breakdown(phi, psi))
        assert record.at("accuracy", 0, arm)["mean"] > 0.8  # human labels are right


def test_a_verifier_worse_than_chance_breaks_down_earlier_than_none():
    assert verifier_breakdown(0.5, 0.5) == 0.5
    assert verifier_breakdown(0.3, 0.6) < 0.5 < verifier_breakdown(0.9, 0.3) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"p": 1.2}, r"p must lie in \[0, 1\], not 1.2"),
        ({"phi": -0.1}, r"phi must lie in \[0, 1\], not -0.1"),
        ({"gap": 0.0}, "gap must be above 0, not 0"),
        ({"d": 0}, "d must be at least 1, not 0"),
        ({"regime": "accumulate"}, "regime 'accumulate' picks or keeps single items"),
    ],
)
def test_impossible_settings_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        verifier.run(None, "smoke", progress=False, **setting)


def test_nothing_kept_is_a_coin():
    record = verifier.run(None, "smoke", phi=0.0, psi=0.0, progress=False)
    assert record.at("accuracy", 1)["mean"] == 0.5

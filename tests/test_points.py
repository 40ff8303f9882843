"""Drawing items without replacement: no repeats, and every set as likely as any other."""

import numpy as np
import pytest
from scipy import stats

from model_collapse.points import Points


@pytest.mark.parametrize(("total", "n"), [(6, 2), (6, 6), (60, 2)])
def test_a_picked_subset_has_no_repeats_and_every_item_is_as_likely(total, n):
    """Both ways of drawing: by sorting keys where many are wanted, by redrawing repeats where few are."""
    x = np.broadcast_to(np.arange(float(total))[None, :, None], (30_000, total, 1))
    taken = Points(x).take(n, np.random.default_rng(2)).x[:, :, 0]
    assert (np.diff(np.sort(taken, axis=1), axis=1) > 0).all()
    assert stats.chisquare(np.bincount(taken.ravel().astype(int), minlength=total)).pvalue > 0.001


def test_pairs_are_equally_likely_where_repeats_are_redrawn():
    x = np.broadcast_to(np.arange(45.0)[None, :, None], (200_000, 45, 1))
    taken = np.sort(Points(x).take(2, np.random.default_rng(3)).x[:, :, 0].astype(int), axis=1)
    pairs = np.bincount(taken[:, 0] * 45 + taken[:, 1], minlength=45 * 45)
    assert stats.chisquare(pairs[np.triu_indices(45, 1)[0] * 45 + np.triu_indices(45, 1)[1]]).pvalue > 0.001


def test_a_subsample_says_where_its_items_come_from():
    parts = [Points(np.full((2, 30, 1), float(k))) for k in range(3)]
    taken, counts = Points.subsample(parts, 4, np.random.default_rng(0))
    for chain in range(2):
        assert (np.bincount(taken.x[chain, :, 0].astype(int), minlength=3) == counts[chain]).all()


def test_taking_more_items_than_there_are_is_refused():
    with pytest.raises(ValueError, match="cannot take 4 different items of 3"):
        Points(np.zeros((1, 3, 1))).take(4, np.random.default_rng(0))

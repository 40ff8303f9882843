"""What is confused with model collapse: each experiment does what its theory says, and only that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from model_collapse.archive import History
from model_collapse.figures import related as figures
from model_collapse.gmm.em import Mixtures
from model_collapse.points import Points
from model_collapse.recursion import run
from model_collapse.regimes import HUMAN, Source
from model_collapse.related import MODES, RULES, WORLDS, courses, forgetting, mode_collapse
from model_collapse.related.ring import Layers, covered, ring
from model_collapse.related.worlds import ITEMS, Observed, World, model_variance

CHAINS, END = 20, 15


@pytest.fixture(scope="module")
def found():
    return {(world, rule): courses(WORLDS[world], RULES[rule], END, CHAINS) for world in WORLDS for rule in RULES}


def means(table, metric: str) -> np.ndarray:
    return table[table["metric"] == metric].groupby("generation")["value"].mean().to_numpy()


def test_people_stand_around_their_middle():
    x = World().people(np.array([0.0, 5.0]), 20_000, np.random.default_rng(0))
    assert x.mean(axis=1) == pytest.approx(np.array([[0, 0], [5, 0]]), abs=0.06)
    assert x.var(axis=1) == pytest.approx(np.array([[5, 1], [5, 1]]), rel=0.04)


def test_the_variance_of_a_mixture_is_that_of_its_points():
    rng = np.random.default_rng(1)
    covariances = np.array([[[[2.0, 0.3], [0.3, 1.0]], [[0.5, 0.0], [0.0, 4.0]]]])
    model = Mixtures(np.array([[0.3, 0.7]]), np.array([[[-1.0, 2.0], [3.0, 0.0]]]), covariances)
    hump = rng.random(200_000) < 0.3
    parts = [rng.multivariate_normal(m, c, 200_000) for m, c in zip(model.means[0], covariances[0], strict=True)]
    x = np.where(hump[:, None], parts[0], parts[1])
    assert model_variance(model) == pytest.approx([x.var(axis=0).sum()], rel=0.01)


def test_in_a_still_world_only_a_loop_without_people_loses(found):
    fall = {rule: means(found["still", rule], "today")[0] - means(found["still", rule], "today")[-1] for rule in RULES}
    assert fall["itself"] > 0.3 and fall["keep"] < 0.5 * fall["itself"]
    assert abs(fall["people"]) < 0.1 and abs(fall["frozen"]) < 0.1
    for rule in RULES:  # nobody has moved: people of today are those of the first day
        course = found["still", rule]
        assert means(course, "today") == pytest.approx(means(course, "first"), abs=0.2)


def test_a_model_that_is_not_retrained_loses_people_who_move_and_nobody_else(found):
    frozen, people = found["drifting", "frozen"], found["drifting", "people"]
    assert means(frozen, "first")[-1] == pytest.approx(means(frozen, "first")[0], abs=0.1)
    assert means(frozen, "today")[-1] < means(frozen, "today")[0] - 0.3
    assert means(people, "today")[-1] == pytest.approx(means(people, "today")[0], abs=0.1)
    assert means(people, "middle") == pytest.approx(0.1 * np.arange(END + 1), abs=4 * np.sqrt(5 / ITEMS / CHAINS))


def test_retraining_on_people_who_follow_rests_where_theory_has_it(found):
    """m_g = 1 + m_(g-1) / 2 from m_0 = 1, so 2 - 2^-g; the spread stays."""
    course = found["reacting", "people"]
    assert means(course, "middle") == pytest.approx(2 - 0.5 ** np.arange(END + 1), abs=0.15)
    assert means(course, "spread") == pytest.approx(1, abs=0.05)
    beyond = courses(World(start=1.0, reaction=1.0), RULES["people"], END, CHAINS)  # no rest: a step of 1 each time
    assert means(beyond, "middle")[-1] == pytest.approx(1 + END, abs=0.6)


def test_the_likelihood_of_today_is_that_of_people_who_have_heard():
    learner = Observed(World(start=1.0, reaction=0.5), RULES["people"], 1)
    learner.published = np.array([4.0])
    x = learner.today(50_000, 3, np.random.default_rng(2)).x[0, :, 0]
    expected = 0.5 * (norm.cdf(0, 1, 1) + norm.cdf(0, 5, 1))  # humps at 3 - 2 and 3 + 2
    assert (x < 0).mean() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("rule", "expected"), [("itself", (0, ITEMS)), ("keep", (20, 180)), ("people", (ITEMS, 0))])
def test_pools_are_of_one_size(rule, expected):
    pools = []

    class Listening(Observed):
        def fit(self, pool, turn):
            pools.append(pool)
            return super().fit(pool, turn)

    learner, rng = Listening(WORLDS["still"], RULES[rule], 2), np.random.default_rng(0)
    source = Source(Points(WORLDS["still"].people(np.zeros(2), ITEMS, rng)), ITEMS, learner.today)
    list(run(learner, source, RULES[rule], 1, history=History(RULES[rule].memory), seed=(0,)))
    assert pools[1].items.size == ITEMS
    assert tuple(round(ITEMS * pools[1].lineage.share(maker)) for maker in (HUMAN, 0)) == expected


def test_courses_are_the_same_again():
    again = [courses(WORLDS["still"], RULES["itself"], 2, 3, seed=5)["value"].to_numpy() for _ in range(2)]
    assert np.array_equal(*again)


def test_batched_layers_are_single_ones():
    torch.manual_seed(0)
    layers, x = Layers(3, (4, 5, 2)), torch.randn(3, 7, 4)
    for chain, y in enumerate(layers(x)):
        hidden = torch.nn.functional.leaky_relu(x[chain] @ layers.weights[0][chain] + layers.biases[0][chain], 0.2)
        assert torch.allclose(y, hidden @ layers.weights[1][chain] + layers.biases[1][chain], atol=1e-6)


def test_humps_are_counted():
    rng = np.random.default_rng(3)
    x = ring((2, 2000), rng)
    assert covered(x).tolist() == [MODES, MODES]
    half = x[0][x[0, :, 1] > 0.5]  # three humps lie above
    assert covered(half) == 3
    few = np.concatenate([half, np.tile([0.0, -2.0], (len(half) // 200, 1))])  # half a hundredth at a fourth
    assert covered(few) == 3
    assert covered(np.zeros((100, 2))) == 0


@pytest.mark.slow
def test_a_slow_discriminator_is_pleased_with_few_humps():
    slow, even = (mode_collapse(3, 1200, pace, times=7) for pace in (0.1, 1.0))
    assert slow.covered[-1].mean() <= 3 < 7 <= even.covered[-1].mean()
    assert slow.steps[-1] == 1200 and slow.points.shape == (7, 1000, 2) and slow.covered[0].max() == 0


@pytest.mark.slow
def test_a_network_forgets_what_it_is_not_shown():
    plain, replayed = (forgetting(8, replay, first=16) for replay in (0.0, 0.2))
    assert plain.epochs.tolist() == [0, 4, 8]
    old, new = plain.loss.T
    assert old[-1] > old[0] + 1 and new[-1] < new[0] - 1
    assert plain.share[0] > 0.7 > 0.3 > plain.share[-1]
    assert replayed.loss[0] == pytest.approx(plain.loss[0])  # the same network before
    assert replayed.loss[-1, 0] < old[-1] and replayed.share[-1] > plain.share[-1]
    curves = figures.forgetting(plain, replayed).axes
    assert np.allclose(curves[0].lines[0].get_ydata(), old) and np.allclose(curves[1].lines[0].get_ydata(), plain.share)


def test_figures_draw_what_was_found(found):
    axes = figures.worlds(found).axes
    assert [len(ax.lines) for ax in axes] == [len(RULES)] * len(WORLDS)
    table = found["drifting", "frozen"]
    medians = table[table["metric"] == "today"].groupby("generation")["value"].median()
    assert any(np.allclose(line.get_ydata(), medians) for line in axes[1].lines)
    course = mode_collapse(2, 20, times=3)
    last = figures.ring(course, course, ring((50,), np.random.default_rng(4))).axes[2]
    assert any(np.allclose(line.get_ydata(), course.covered.mean(axis=1)) for line in last.lines)

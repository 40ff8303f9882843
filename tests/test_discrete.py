"""Resampling: absorption is neutral, rare words go first, and at the rate that branching says."""

import numpy as np
import pytest
from scipy import stats

from model_collapse import expectations as ex
from model_collapse.counts import Counts
from model_collapse.datasets import word_counts
from model_collapse.theory import discrete

WORDS = {"progress": False, "profile": "smoke"}


@pytest.fixture(scope="module")
def absorbed():
    return discrete.run(
        "absorption", "smoke", n=20, chains=5000, block=2500, generations=500, marks=(100,), progress=False
    )


def test_every_chain_ends_in_one_state(absorbed):
    assert absorbed.at("absorbed", 500)["mean"] == 1
    assert absorbed.at("entropy", 500)["mean"] == 0


def test_a_chain_ends_in_a_state_with_that_states_probability(absorbed):
    p = np.array(absorbed.manifest["config"]["probabilities"])
    ends = np.array([absorbed.at(f"frequency_{k}", 500)["mean"] * 5000 for k in range(len(p))])
    assert ends.sum() == pytest.approx(5000)
    assert stats.chisquare(ends, 5000 * p).pvalue > 0.001


def test_frequencies_are_a_martingale_and_states_never_return(absorbed):
    alive = absorbed.chains("alive")
    assert (np.diff(alive.to_numpy(), axis=0) <= 0).all()
    for g in (0, 10, 100):
        row = absorbed.at("frequency_0", g)
        assert abs(row["mean"] - 0.3) < 4 * row["sd"] / np.sqrt(row["count"])


def test_words_of_the_language_reference_are_lost_as_branching_says():
    record = discrete.run("words-replace", generations=9, chains=30, block=30, **WORDS)
    for copies in (1, 2, 5, 10):
        for g in (5, 9):
            assert record.at(f"lost_{copies}", g)["mean"] == pytest.approx(ex.lost_by(copies, g), abs=0.03)


def test_original_words_are_never_lost_while_human_text_stays_in_the_pool():
    for study in ("words-augment", "words-accumulate"):
        record = discrete.run(study, **WORDS)
        assert record.at("alive", 3)["mean"] == 1


def test_a_pool_keeps_its_size_in_every_regime():
    for study in discrete.STUDIES:
        config, _ = discrete.FAMILY.configure(study, "smoke")
        regime = config.make_regime()
        data = discrete.load(config, None)
        source, learner = discrete.build(config, regime, 2, (0, 0, 0), data)
        n = source.n
        assert learner.sample(source.items.counts / source.items.size, None, _turn()).size == regime.needed(n)


def _turn():
    from model_collapse.recursion import Turn

    return Turn(1, (0, 0, 0))


def test_taking_without_replacement_never_takes_more_than_there_is():
    counts = Counts(10, np.array([[5, 3, 2, 0]] * 500))
    taken = counts.take(6, np.random.default_rng(0))
    assert (taken.counts <= counts.counts).all() and (taken.counts.sum(axis=1) == 6).all()
    assert taken.counts.mean(axis=0) == pytest.approx([3, 1.8, 1.2, 0], abs=0.15)


def test_the_reserve_is_never_used_twice_and_says_when_it_is_used_up():
    config, _ = discrete.FAMILY.configure("words-fresh1", "smoke")
    source, _ = discrete.build(config, config.make_regime(), 2, (0, 0, 0), discrete.datasets.language_reference())
    everything = sum(word_counts(discrete.datasets.language_reference().text).values())
    reserve = round(everything / 2)
    a, b = (source.draw(reserve // 2, g, None).counts for g in (1, 2))
    merged = (a + b)[0]
    corpus = np.array(list(word_counts(discrete.datasets.language_reference().text).values()))
    assert (merged + source.items.counts[0] <= corpus).all()
    with pytest.raises(ValueError, match=f"the {reserve} words set aside are used up at generation 3"):
        source.draw(reserve // 2, 3, None)


def test_a_persons_own_text(tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("to be or not to be that is the question " * 40, encoding="utf-8")
    record = discrete.run("words-replace", data=mine, **WORDS)
    assert record.manifest["data"]["name"] == "mine.txt"
    assert record.manifest["data"]["sha256"]
    assert "lost_1" not in set(record.statistics["metric"])  # it has no word that occurs once
    assert record.setting("n") == 0 and record.at("alive", 0)["mean"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "own.txt is empty"),
        (b"  \n ", "own.txt is empty"),
        (b"abc\0def", "own.txt is binary, not text"),
        ("caf\xe9".encode("latin-1"), r"own.txt is not UTF-8 \(byte 3\)"),
        (b"12 34 --", "own.txt holds no words"),
    ],
)
def test_a_text_that_cannot_be_used_gets_one_line(tmp_path, content, message):
    path = tmp_path / "own.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        discrete.run("words-replace", data=path, **WORDS)
    assert "\n" not in str(caught.value)


def test_a_missing_text_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere.txt: No such file"):
        discrete.run("words-replace", data=tmp_path / "nowhere.txt", **WORDS)


def test_more_items_than_words_are_refused():
    with pytest.raises(ValueError, match="n = 10000000 is more than the"):
        discrete.run("words-replace", n=10_000_000, **WORDS)


def test_word_counts_are_ordered_and_complete():
    assert word_counts("The cat, the dog's bone; THE end. x2 naïve") == {
        "the": 3,
        "bone": 1,
        "cat": 1,
        "dog's": 1,
        "end": 1,
        "naïve": 1,
        "x": 1,
    }


def test_a_reserve_too_small_for_the_run_is_refused_at_its_start():
    with pytest.raises(ValueError, match="100 generations of 400 fresh words need 40000 set aside, not 31805"):
        discrete.run("words-fresh1", "smoke", generations=100, n_real=400, progress=False)


def test_a_sweep_of_the_made_up_table_has_nothing_to_report():
    assert discrete.report(discrete.run("phase", "smoke", progress=False)) == []


def test_the_made_up_table_takes_no_text(tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("some words", encoding="utf-8")
    with pytest.raises(ValueError, match="variant 'toy', takes no data"):
        discrete.run("absorption", "smoke", data=mine, progress=False)
    assert discrete.run("absorption", "smoke", progress=False).manifest["data"] is None


def test_the_report_answers_which_words_survive():
    lines = discrete.report(discrete.run("words-replace", **WORDS))
    assert lines[0].startswith("words still known at generation 3")
    assert any("with  1 in the text, gone: " in line for line in lines)

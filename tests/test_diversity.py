"""Measures of diversity on cases with known answers and against slow, direct computations."""

import re
from collections import Counter
from itertools import combinations
from math import exp, log

import numpy as np
import pytest

from model_collapse.diversity import (
    distinct,
    fit_embedding,
    repeated_share,
    self_bleu,
    semantic_diversity,
    skeletons,
    survival,
    syntactic_diversity,
    tail_mass,
    type_token_ratio,
    vocabulary,
)


def draw(blocks, length, types, seed=0):
    return np.random.default_rng(seed).integers(types, size=(blocks, length))


def grams(block, n):
    return [tuple(block[k : k + n]) for k in range(len(block) - n + 1)]


def bleu(block, others, n):
    """BLEU-n as it is defined, without a brevity penalty."""
    logs = 0
    for k in range(1, n + 1):
        references = [Counter(grams(other, k)) for other in others]
        counts = Counter(grams(block, k))
        matches = sum(min(count, max(r[gram] for r in references)) for gram, count in counts.items())
        logs += log((matches or 0.1) / counts.total())
    return exp(logs / n)


def test_types_and_tokens():
    tokens = np.array([[7, 7, 50264], [0, 7, 0]])
    assert vocabulary(tokens) == 3
    assert type_token_ratio(tokens) == 3 / 6
    assert type_token_ratio(tokens.reshape(3, 2, 1)) == 3 / 6


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_distinct_and_repeated_n_grams_against_sets_of_tuples(n):
    blocks = 50264 - draw(40, 12, 3)  # few types, at the end of a large vocabulary
    listed = [grams(block, n) for block in blocks.tolist()]
    assert distinct(blocks, n) == pytest.approx(len(set().union(*listed)) / sum(map(len, listed)))
    assert repeated_share(blocks, n) == pytest.approx(np.mean([1 - len(set(some)) / len(some) for some in listed]))


def test_distinct_at_its_bounds():
    assert distinct(np.arange(30).reshape(5, 6), 2) == 1
    assert distinct(np.full((5, 6), 9), 2) == 1 / 25
    assert repeated_share(np.arange(30).reshape(5, 6), 1) == 0
    assert repeated_share(np.full((5, 6), 9), 2) == pytest.approx(4 / 5)


def test_n_grams_do_not_cross_blocks():
    assert distinct(np.array([[1, 2], [1, 2]]), 2) == 1 / 2  # with (2, 1) it would be 2 of 3


def test_a_repetition_of_another_block_is_no_repetition_within_one():
    assert repeated_share(np.array([[1, 2, 3], [1, 2, 3]]), 1) == 0
    assert repeated_share(np.array([[1, 2, 1], [1, 2, 3]]), 1) == pytest.approx(1 / 6)


@pytest.mark.parametrize("types", [2, 6, 40])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_self_bleu_against_its_definition(types, n):
    # blocks that favour one token each, so that counts differ and are clipped
    blocks = draw(12, 15, types)
    blocks[draw(12, 15, 3, seed=1) == 0] = 0
    rows = blocks.tolist()
    slow = [bleu(row, rows[:k] + rows[k + 1 :], n) for k, row in enumerate(rows)]
    assert self_bleu(blocks, n, rng=np.random.default_rng(0)) == pytest.approx(np.mean(slow), rel=1e-12)


def test_self_bleu_clips_as_in_the_example_of_papineni_et_al():
    the, cat, is_, on, mat, there, a, here = range(8)
    blocks = np.array(
        [
            [the, the, the, the, the, the, the],  # 2 of 7, as no other block has more than two
            [the, cat, is_, on, the, mat, here],  # 6 of 7
            [there, is_, a, cat, on, the, mat],  # 5 of 7
        ]
    )
    assert self_bleu(blocks, 1, rng=np.random.default_rng(0)) == pytest.approx((2 + 6 + 5) / 21)


def test_self_bleu_at_its_bounds():
    rng = np.random.default_rng(0)
    assert self_bleu(np.tile(np.arange(8), (5, 1)), rng=rng) == pytest.approx(1)
    nothing = np.prod([0.1 / 8, 0.1 / 7, 0.1 / 6, 0.1 / 5]) ** (1 / 4)
    assert self_bleu(np.arange(40).reshape(5, 8), rng=rng) == pytest.approx(nothing)


def test_self_bleu_draws_without_replacement():
    apart = np.arange(160).reshape(20, 8)  # a block that was drawn twice would match itself
    values = [self_bleu(apart, 1, sample=15, rng=np.random.default_rng(seed)) for seed in range(20)]
    assert values == pytest.approx([0.1 / 8] * 20)


def test_self_bleu_takes_its_references_from_the_sample():
    twins = np.repeat(np.arange(160).reshape(20, 8), 2, axis=0)
    assert self_bleu(twins, rng=np.random.default_rng(0)) == pytest.approx(1)
    pairs = [self_bleu(twins, 1, sample=2, rng=np.random.default_rng(seed)) for seed in range(10)]
    assert min(pairs) == pytest.approx(0.1 / 8)


def test_self_bleu_leaves_the_generator_alone_where_all_blocks_are_taken():
    blocks, rng = draw(10, 8, 4), np.random.default_rng(3)
    self_bleu(blocks, sample=10, rng=rng)
    assert rng.random() == np.random.default_rng(3).random()


def test_tail_mass_of_a_known_text():
    counts = np.array([0, 1, 2, 4, 5, 99, 100, 7000])
    every = np.arange(8)
    assert tail_mass(every, counts) == pytest.approx(np.array([1, 1, 2, 1, 1, 2]) / 8)
    assert tail_mass(np.array([[0, 0], [0, 7]]), counts) == pytest.approx([0.75, 0, 0, 0, 0, 0.25])
    assert tail_mass(np.array([1]), counts) == pytest.approx([0, 1, 0, 0, 0, 0])
    assert tail_mass(every, counts, edges=(1, 100)) == pytest.approx([1 / 8, 5 / 8, 2 / 8])


def test_the_reference_itself_has_no_unseen_tokens_and_loses_no_type():
    text = np.random.default_rng(0).zipf(1.5, size=(100, 64)) % 5000
    counts = np.bincount(text.ravel(), minlength=5000)
    mass = tail_mass(text, counts)
    assert mass[0] == 0 and mass.sum() == pytest.approx(1)
    assert mass[1] == pytest.approx((counts == 1).sum() / text.size)  # types that occur once
    assert (survival(text, counts) == 1).all()


def test_survival_counts_types_and_not_tokens():
    counts = np.array([0, 1, 1, 1, 1, 3, 3, 200])
    found = survival(np.array([[0, 1, 1], [1, 5, 6]]), counts)
    assert found == pytest.approx([1 / 4, 1, np.nan, np.nan, 0], nan_ok=True)


def test_skeletons_keep_the_words_and_marks_that_carry_syntax():
    assert skeletons(["The dog's bone, 1,500 years old, isn't well-known!"]) == [
        ["the", "WORD", "'s", "WORD", ",", "NUMBER", "WORD", "WORD", ",", "isn't", "WORD", "!"]
    ]
    assert skeletons(["", "number word"]) == [[], ["WORD", "WORD"]]


def test_skeletons_of_text_as_wikitext_spaces_it():
    spaced = "John 's red @-@ tipped claws weighed 1 @,@ 386 @.@ 5 g ; they didn 't break ."
    plain = "John's red-tipped claws weighed 1,386.5 g; they didn’t break."
    assert skeletons([spaced]) == skeletons([plain])
    assert skeletons(["they did n't"]) == skeletons(["they didn 't"]) == [["they", "didn't"]]


def test_other_content_words_leave_syntactic_diversity_alone_but_other_constructions_do_not():
    same = ["The cat sat on the mat.", "The judge ruled on the appeal.", "THE Sun rose on the 'Sea'."]
    assert skeletons(same[:1]) == skeletons(same[1:2]) != skeletons(same[2:])
    assert syntactic_diversity(same[:2]) == 1 / 2  # four 4-grams of seven pieces, twice
    assert syntactic_diversity([same[0], "On which mat did a cat sit?"]) == 1


def test_syntactic_diversity_is_distinct_n_of_skeletons():
    texts = ["It is a cat, and it is a dog, and it was 7.", "It was not the dog which it had been.", "A cat is a cat."]
    numbers = {piece: k for k, piece in enumerate(sorted({piece for text in skeletons(texts) for piece in text}))}
    blocks = [[numbers[piece] for piece in text[:6]] for text in skeletons(texts)]
    short = [" ".join(text[:6]) for text in skeletons(texts)]  # a skeleton is its own skeleton
    for n in (1, 2, 3):
        assert syntactic_diversity(short, n) == pytest.approx(distinct(np.array(blocks), n))


def test_semantic_diversity_against_all_pairs():
    vectors = np.random.default_rng(0).standard_normal((30, 5)) + 1
    vectors[[3, 17]] = 0
    kept = [v / np.linalg.norm(v) for v in vectors if v.any()]
    slow = np.mean([1 - a @ b for a, b in combinations(kept, 2)])
    assert semantic_diversity([""] * 30, lambda texts: vectors) == pytest.approx(slow)


@pytest.mark.parametrize(("vectors", "distance"), [(np.eye(4), 1), (np.ones((4, 3)), 0), ([[2, 0], [-1, 0]], 2)])
def test_semantic_diversity_of_known_angles(vectors, distance):
    assert semantic_diversity([], lambda texts: vectors) == pytest.approx(distance, abs=1e-12)


ANIMALS = ["dog cat bird", "cat bird fish", "bird fish dog", "fish dog cat bird bird"]
LAW = ["court judge appeal", "judge appeal verdict", "appeal verdict court", "verdict court judge judge"]


def test_at_full_dimension_the_embedding_keeps_the_cosines_of_tf_idf():
    texts = ANIMALS + LAW + ["dog court", "dog dog dog verdict"]
    words = sorted(set(" ".join(texts).split()))
    tf = np.array([[text.split().count(word) for word in words] for text in texts])
    idf = np.log((1 + len(texts)) / (1 + (tf > 0).sum(axis=0))) + 1
    weights = np.where(tf > 0, 1 + np.log(tf.clip(1)), 0) * idf
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    vectors = fit_embedding(texts, dimension=len(words))(texts)
    assert vectors @ vectors.T == pytest.approx(weights @ weights.T, abs=1e-10)


def test_the_embedding_finds_topics_in_texts_it_has_not_seen():
    embed = fit_embedding(ANIMALS + LAW, dimension=2)
    dog, fish, court = embed(["my dog", "a fish", "in court"])  # no word in common
    assert dog @ fish == pytest.approx(1, abs=1e-6) and dog @ court == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm([dog, fish, court], axis=1) == pytest.approx([1, 1, 1])
    assert semantic_diversity(["dog", "fish", "judge"], embed) == pytest.approx(2 / 3, abs=1e-6)


def test_texts_without_known_words_are_left_out():
    embed = fit_embedding(ANIMALS + LAW, dimension=2)
    assert not embed(["", "quantum flux"]).any()
    assert semantic_diversity(["dog", "", "judge", "quantum flux"], embed) == pytest.approx(1, abs=1e-6)


def test_words_outside_of_the_leading_dimensions_give_no_vector_of_rounding_errors():
    assert not fit_embedding([*ANIMALS, "court"], dimension=1)(["court"]).any()


def test_the_embedding_depends_on_nothing_but_texts_and_seed():
    texts = [" ".join(f"w{word}" for word in row) for row in draw(60, 12, 50)]
    first, again = (fit_embedding(texts, 5, seed=1)(texts) for _ in range(2))
    assert (first == again).all()


BLOCKS = np.ones((3, 4), dtype=int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: type_token_ratio(np.array([])), "there are no tokens"),
        (lambda: distinct(np.empty((0, 4), dtype=int), 2), "there are no tokens"),
        (lambda: distinct(BLOCKS[0], 2), "blocks have the shape (blocks, length), not (4,)"),
        (lambda: distinct(BLOCKS, 5), "blocks of 4 tokens have no 5-grams"),
        (lambda: repeated_share(BLOCKS, 0), "blocks of 4 tokens have no 0-grams"),
        (lambda: self_bleu(BLOCKS[:1], rng=np.random.default_rng(0)), "Self-BLEU needs two blocks, not 1"),
        (lambda: self_bleu(BLOCKS, sample=1, rng=np.random.default_rng(0)), "Self-BLEU needs two blocks, not 1"),
        (lambda: tail_mass(np.array([0, 5]), np.ones(5)), "tokens from 0 to 5 do not fit a vocabulary of 5"),
        (lambda: survival(np.array([-1, 2]), np.ones(5)), "tokens from -1 to 2 do not fit a vocabulary of 5"),
        (lambda: tail_mass(BLOCKS, np.ones(5), (2, 5)), "edges of bands rise from 1, unlike (2, 5)"),
        (lambda: survival(BLOCKS, np.ones(5), (1, 5, 5)), "edges of bands rise from 1, unlike (1, 5, 5)"),
        (lambda: syntactic_diversity(["A cat."]), "no text has 4 words, numbers or punctuation marks"),
        (lambda: fit_embedding(LAW, 5), "an embedding of dimension 5 needs as many texts and as many words, not 4"),
        (
            lambda: semantic_diversity(["dog", "flux"], fit_embedding(ANIMALS, 2)),
            "a mean distance of pairs needs two texts with known words, not 1",
        ),
    ],
)
def test_what_cannot_be_measured_is_an_error(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()

"""How varied a text is: its vocabulary, its n-grams, its rare tokens, its syntax and its meanings.

Lexical, syntactic and semantic diversity after Guo et al. (2311.09807), with offline stand-ins for parser and encoder.
Most measures fall as a text grows (Self-BLEU rises), so compare texts of equal size only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

__all__ = [
    "EDGES",
    "distinct",
    "fit_embedding",
    "repeated_share",
    "self_bleu",
    "semantic_diversity",
    "skeletons",
    "survival",
    "syntactic_diversity",
    "tail_mass",
    "type_token_ratio",
    "vocabulary",
]

EDGES = (1, 2, 5, 10, 100)  # lower edges of the bands of counts in a human reference
EPSILON = 0.1  # matches that smoothed BLEU takes for none
WORD, NUMBER = "WORD", "NUMBER"  # upper case, so never mistaken for a function word

_CLOSED_CLASSES = {
    "determiners": "a an the this that these those each every either neither some any no all both many much few more "
    "most less other another such",
    "pronouns": "i me my mine myself you your yours yourself he him his himself she her hers herself it its itself we "
    "us our ours ourselves they them their theirs themselves",
    "wh-words": "who whom whose which what when where why how whether whoever whatever",
    "prepositions": "about above across after against along among around as at before behind below beneath beside "
    "between beyond by despite down during except for from in inside into near of off on onto out outside over per "
    "since through throughout to toward towards under until up upon via with within without",
    "conjunctions": "and but or nor so yet because although though if unless while whereas than",
    "auxiliaries": "am is are was were be been being do does did have has had having will would shall should can could "
    "may might must cannot",
    "negated": "ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't needn't "
    "shan't shouldn't wasn't weren't won't wouldn't",
    "particles": "not there",
}
FUNCTION_WORDS = frozenset(word for words in _CLOSED_CLASSES.values() for word in words.split())

# WikiText writes "red @-@ tipped", "1 @,@ 000", "didn 't"; the Penn Treebank "did n't"
_GAP = re.compile(r" @(?=[-,.]@ )|(?<=[-,.])@ |(?<=n) (?='t\b)| (?=n't\b)")
_CLITIC = r"'(?:s|re|ve|ll|d|m)\b"
_PIECE = re.compile(
    rf"""(?P<clitic>{_CLITIC})
    | (?P<number>\d+(?:[.,]\d+)*[^\W_]*)
    | (?P<word>[^\W_]+(?:(?!{_CLITIC})['-][^\W_]+)*)
    | (?P<mark>[^\w\s]|_)""",
    re.VERBOSE,
)


def vocabulary(tokens: np.ndarray) -> int:
    """Number of different tokens in an array of any shape."""
    return int(np.unique(tokens).size)


def type_token_ratio(tokens: np.ndarray) -> float:
    """Different tokens over tokens, of an array of any shape; raises ValueError where there are none."""
    return vocabulary(tokens) / _filled(tokens).size


def distinct(blocks: np.ndarray, n: int) -> float:
    """Distinct-n: different n-grams over all n-grams of blocks, shape (blocks, length).

    The usual form of the measure of Li et al. (2016, 1510.03055), who divide by tokens. No n-gram crosses the border of
    a block; raises ValueError where blocks are shorter than n, or there are none.
    """
    ids = _ngrams(blocks, n)[-1]
    return vocabulary(ids) / ids.size


def repeated_share(blocks: np.ndarray, n: int) -> float:
    """Share of a block's n-grams that the same block held before, mean over blocks, shape (blocks, length).

    1 - different n-grams / n-grams, which Welleck et al. (2020, 1908.04319) call seq-rep-n and others rep-n. Raises
    ValueError where blocks are shorter than n, or there are none.
    """
    ids = np.sort(_ngrams(blocks, n)[-1], axis=1)
    return float((np.diff(ids, axis=1) == 0).sum() / ids.size)


def self_bleu(blocks: np.ndarray, n: int = 4, sample: int = 1000, *, rng: np.random.Generator) -> float:
    """Self-BLEU-n (Zhu et al., 2018, 1802.01886): mean BLEU-n of blocks with all the others as references.

    Orders 1 to n weigh the same, each count is clipped by the largest in any one reference, and lengths are equal, so
    there is no brevity penalty. No match in an order counts as 0.1 matches (method 1 of Chen & Cherry, 2014, as in
    NLTK, which departs from it in one case: a block that shares not even a token with the others gets 0 there).

    Parameters
    ----------
    blocks : numpy.ndarray of int, shape (blocks, length)
    n : int
        Highest order of n-grams.
    sample : int
        Blocks that are drawn without replacement, as hypotheses and references alike; all where there are fewer.
    rng : numpy.random.Generator
        Draws the sample; untouched where all blocks are taken.

    Raises
    ------
    ValueError
        Where a block is shorter than n, or there are fewer than two.
    """
    blocks = np.asarray(blocks)
    if min(len(blocks), sample) < 2:
        raise ValueError(f"Self-BLEU needs two blocks, not {min(len(blocks), sample)}")
    if len(blocks) > sample:
        blocks = blocks[rng.choice(len(blocks), sample, replace=False)]
    logs = np.log([_precision(ids) for ids in _ngrams(blocks, n)])
    return float(np.exp(logs.mean(axis=0)).mean())


def tail_mass(tokens: np.ndarray, counts: np.ndarray, edges: Sequence[float] = EDGES) -> np.ndarray:
    """Shares of the tokens by how often a human reference holds them.

    Parameters
    ----------
    tokens : numpy.ndarray of int, any shape
    counts : numpy.ndarray, shape (vocabulary,)
        How often each token occurs in the reference.
    edges : sequence of float
        Lower edges of the bands, 1 first; a band ends before the next edge, and the last is open.

    Returns
    -------
    numpy.ndarray, shape (len(edges) + 1,)
        The share of tokens never seen in the reference, then that of each band; they sum to 1.

    Raises
    ------
    ValueError
        Where there are no tokens, one lies outside of the vocabulary, or edges do not rise from 1.
    """
    tokens = _known(tokens, counts)
    return np.bincount(_bands(counts, edges)[tokens].ravel(), minlength=len(edges) + 1) / tokens.size


def survival(tokens: np.ndarray, counts: np.ndarray, edges: Sequence[float] = EDGES) -> np.ndarray:
    """Share of the types in each band of reference counts that still occur.

    Parameters and errors are those of `tail_mass`; the result has the shape (len(edges),), as count 0 has no band here,
    and is NaN for a band without types.
    """
    present = np.zeros(len(counts), dtype=bool)
    present[_known(tokens, counts)] = True
    bands = _bands(counts, edges)
    alive, types = (np.bincount(chosen, minlength=len(edges) + 1)[1:] for chosen in (bands[present], bands))
    return np.divide(alive, types, out=np.full(len(edges), np.nan), where=types > 0)


def skeletons(texts: Sequence[str]) -> list[list[str]]:
    """What is left of texts without their content words.

    English function words (in lower case), clitics and punctuation marks stay, every number becomes ``NUMBER`` and
    every other word ``WORD``. Spaces that WikiText puts into words and numbers are removed first.
    """
    plain = (_GAP.sub("", text.replace("’", "'").lower()) for text in texts)
    return [[_reduced(piece) for piece in _PIECE.finditer(text)] for text in plain]


def syntactic_diversity(texts: Sequence[str], n: int = 4) -> float:
    """Distinct-n of the `skeletons` of texts.

    It stands in for the mean distance of dependency trees (Weisfeiler-Lehman kernel, Guo et al., 2311.09807) where no
    parser is at hand: it sees the order of function words and punctuation, but no trees, so only trends compare. Raises
    ValueError where no skeleton has n pieces.
    """
    grams = [gram for pieces in skeletons(texts) for gram in zip(*(pieces[k:] for k in range(n)), strict=False)]
    if not grams:
        raise ValueError(f"no text has {n} words, numbers or punctuation marks")
    return len(set(grams)) / len(grams)


def semantic_diversity(texts: Sequence[str], embed: Callable[[Sequence[str]], np.ndarray]) -> float:
    """Mean cosine distance of all pairs of texts.

    For m unit vectors with the sum s, the cosines of all pairs have the mean ``(|s|^2 - m) / (m (m - 1))``.

    Parameters
    ----------
    texts : sequence of str
    embed : callable
        Gives an array of shape (texts, dimension), such as that of `fit_embedding`. Rows of zeros are left out.

    Raises
    ------
    ValueError
        Where fewer than two texts have a vector.
    """
    vectors = np.asarray(embed(texts), dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    m = np.count_nonzero(norms)
    if m < 2:
        raise ValueError(f"a mean distance of pairs needs two texts with known words, not {m}")
    total = (vectors[norms > 0] / norms[norms > 0, None]).sum(axis=0)
    return float(max(1 - (total @ total - m) / (m * (m - 1)), 0.0))


def fit_embedding(texts: Sequence[str], dimension: int = 100, seed: int = 0) -> Callable[[Sequence[str]], np.ndarray]:
    """Latent semantic analysis (Deerwester et al., 1990), fitted on human texts.

    TF-IDF with sublinear counts, then a truncated singular value decomposition. It stands in for sentence embeddings
    (Sentence-BERT in 2311.09807), which would need a download: it knows which words go together, not their order.

    Returns
    -------
    callable
        Gives texts an array of shape (texts, dimension) of unit vectors; a text without a known word gets zeros.

    Raises
    ------
    ValueError
        Where there are fewer texts or fewer different words than dimensions.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectoriser = TfidfVectorizer(sublinear_tf=True)
    weights = vectoriser.fit_transform(texts)
    if (fewest := min(weights.shape)) < dimension:
        raise ValueError(f"an embedding of dimension {dimension} needs as many texts and as many words, not {fewest}")
    svd = TruncatedSVD(dimension, random_state=seed).fit(weights)

    def embed(texts: Sequence[str]) -> np.ndarray:
        vectors = svd.transform(vectoriser.transform(texts))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        # a shorter vector is the rounding error of words that the leading dimensions do not hold
        return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-9)

    return embed


def _ngrams(blocks: np.ndarray, n: int) -> list[np.ndarray]:
    """N-grams of order 1 to n as numbers from 0 without gaps; order k has the shape (blocks, length - k + 1)."""
    blocks = _filled(blocks)
    if blocks.ndim != 2:
        raise ValueError(f"blocks have the shape (blocks, length), not {blocks.shape}")
    if not 1 <= n <= blocks.shape[1]:
        raise ValueError(f"blocks of {blocks.shape[1]} tokens have no {n}-grams")
    types, first = np.unique(blocks, return_inverse=True)
    orders = [first.reshape(blocks.shape)]
    for k in range(1, n):  # numbered anew at each order, so that a pair of numbers always fits into 64 bits
        pairs = orders[-1][:, :-1] * len(types) + orders[0][:, k:]
        orders.append(np.unique(pairs, return_inverse=True)[1].reshape(pairs.shape))
    return orders


def _precision(ids: np.ndarray) -> np.ndarray:
    """Modified precision of each block's n-grams against all the other blocks, smoothed, shape (blocks,)."""
    blocks, grams = ids.shape
    pairs, counts = np.unique(ids * blocks + np.arange(blocks)[:, None], return_counts=True)
    gram, block = np.divmod(pairs, blocks)
    order = np.lexsort((counts, gram))
    last = np.flatnonzero(np.diff(gram[order], append=-1))  # each n-gram's largest count
    # The second-largest count clips as the largest of the others would: to the block that holds the largest count it is
    # the largest of the others, and the count of any other block exceeds neither.
    second = np.where(np.diff(last, prepend=-1) > 1, counts[order][last - 1], 0)
    matched = np.bincount(block, np.minimum(counts, second[gram]), minlength=blocks)
    return np.where(matched > 0, matched, EPSILON) / grams


def _bands(counts: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Band of every type's reference count, 0 for a type that was never seen, shape (vocabulary,)."""
    if edges[0] != 1 or (np.diff(edges) <= 0).any():
        raise ValueError(f"edges of bands rise from 1, unlike {tuple(edges)}")
    return np.searchsorted(edges, counts, side="right")


def _known(tokens: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The tokens, if there are some and all lie within the vocabulary."""
    tokens = _filled(tokens)
    if tokens.min() < 0 or tokens.max() >= len(counts):
        raise ValueError(f"tokens from {tokens.min()} to {tokens.max()} do not fit a vocabulary of {len(counts)}")
    return tokens


def _filled(tokens: np.ndarray) -> np.ndarray:
    """The tokens as an array, if there are some."""
    tokens = np.asarray(tokens)
    if not tokens.size:
        raise ValueError("there are no tokens")
    return tokens


def _reduced(piece: re.Match) -> str:
    """What stands for a piece of a text in its skeleton."""
    if piece.lastgroup == "number":
        return NUMBER
    return WORD if piece.lastgroup == "word" and piece.group() not in FUNCTION_WORDS else piece.group()
